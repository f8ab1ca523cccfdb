// The memory store against the peers' stores: how long a decision takes.

import { type AlgorithmName, turnClock } from '../dist/index.js'
import { FASTEST, type KeyOf, ours, peers } from './peers.ts'
import { type Contender, type RaceResult, markdown, race } from './race.ts'

const ALGORITHMS: readonly AlgorithmName[] = ['fixed_window', 'token_bucket', 'gcra', 'sliding_window']

/** Keys as servers have them: flat strings of twenty characters. */
function keys(count: number): readonly string[] {
  return Array.from({ length: count }, (_, i) => Buffer.from(`client:${String(1_000_000 + i).slice(-7)}:${String(i * 7919).padStart(5, '0').slice(-5)}`).toString('latin1'))
}

interface Scenario {
  readonly name: string
  readonly keyOf: KeyOf
  readonly calls: number
  readonly prefill: number
}

function scenarios(): readonly Scenario[] {
  const many = keys(10_000)
  const million = keys(1_000_000)
  return [
    { name: '1 hot key', keyOf: () => many[0] as string, calls: 200_000, prefill: 1 },
    { name: '10k keys', keyOf: (turn) => many[(turn * 7919) % 10_000] as string, calls: 200_000, prefill: 10_000 },
    { name: '10k keys, string made per call', keyOf: (turn) => `client:${1_000_000 + ((turn * 7919) % 10_000)}:10.2`, calls: 200_000, prefill: 10_000 },
    { name: '1M keys', keyOf: (turn) => million[(turn * 7919) % 1_000_000] as string, calls: 200_000, prefill: 1_000_000 },
  ]
}

/** Every scenario: ours by algorithm, with the clock read in each decision and once a turn, and all peers. */
export async function memory(): Promise<string> {
  const out: string[] = []
  for (const scenario of scenarios()) {
    const rows: string[][] = []
    for (const algorithm of ALGORITHMS) {
      const each = await run(scenario, { [algorithm]: ours(algorithm, scenario.keyOf) })
      const turn = await run(scenario, { [algorithm]: ours(algorithm, scenario.keyOf, turnClock()) }, 64)
      const find = (results: readonly RaceResult[], name: string): RaceResult => results.find((one) => one.name === name) as RaceResult
      rows.push([algorithm, ns(find(each, algorithm)), ratio(find(each, algorithm)), ns(find(turn, algorithm)), ratio(find(turn, algorithm))])
      if (algorithm !== 'sliding_window') continue
      for (const result of each) if (result.name !== algorithm) rows.push([result.name, ns(result), ratio(result), ns(find(turn, result.name)), ratio(find(turn, result.name))])
    }
    out.push(`### ${scenario.name}\n`, markdown(['', 'ns, clock each time', `× ${FASTEST}`, 'ns, 64 a turn', `× ${FASTEST}`], rows), '')
  }
  out.push('### Refused against admitted, 1 hot key\n', await refusals(), '')
  return out.join('\n')
}

async function run(scenario: Scenario, own: Record<string, Contender>, perTurn?: number): Promise<readonly RaceResult[]> {
  const contenders = { ...own, ...peers(scenario.keyOf) }
  // All keys are known before the race: it is about decisions, not about growing.
  for (const contender of Object.values(contenders)) for (let turn = 0; turn < scenario.prefill; turn++) contender(turn)
  const calls = perTurn === undefined ? scenario.calls : 64 * 1000
  return race(contenders, FASTEST, { rounds: 9, calls, ...(perTurn !== undefined && { perTurn }) })
}

async function refusals(): Promise<string> {
  const rows: string[][] = []
  const [key = ''] = keys(1)
  for (const algorithm of ALGORITHMS) {
    const refusing = ours(algorithm, () => key, undefined, '1/d')
    const contenders = { admitted: ours(algorithm, () => key), refused: refusing, 'rate-limiter-flexible, refused': peers(() => key, 1)['rate-limiter-flexible'] as Contender }
    for (const contender of Object.values(contenders)) contender(0)
    const results = await race(contenders, 'admitted', { rounds: 9, calls: 20_000 })
    rows.push([algorithm, ...results.flatMap((result) => [ns(result), ratio(result)])])
  }
  return markdown(['', 'admitted ns', '', 'refused ns', '× admitted', 'RLF refused ns', '× admitted'], rows)
}

function ns(result: RaceResult): string {
  return result.ns.toFixed(0)
}

function ratio(result: RaceResult): string {
  return result.ratio.toFixed(2)
}
