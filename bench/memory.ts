// The memory store against the peers' stores: how long a decision takes.

import { type AlgorithmName, turnClock } from '../dist/index.js'
import { FASTEST, type KeyOf, floor, ours, peers } from './peers.ts'
import { type Contender, type RaceResult, markdown, race } from './race.ts'

const ALGORITHMS: readonly AlgorithmName[] = ['fixed_window', 'token_bucket', 'gcra', 'sliding_window']

/** Keys as servers have them: flat strings of twenty characters. */
function keys(count: number): readonly string[] {
  return Array.from({ length: count }, (_, i) =>
    Buffer.from(
      `client:${String(1_000_000 + i).slice(-7)}:${String(i * 7919)
        .padStart(5, '0')
        .slice(-5)}`,
    ).toString('latin1'),
  )
}

interface Scenario {
  readonly name: string
  readonly keyOf: KeyOf
  readonly prefill: number
}

function scenarios(): readonly Scenario[] {
  const many = keys(10_000)
  const million = keys(1_000_000)
  return [
    { name: '1 hot key', keyOf: () => many[0] as string, prefill: 1 },
    { name: '10k keys', keyOf: (turn) => many[(turn * 7919) % 10_000] as string, prefill: 10_000 },
    {
      name: '10k keys, string made per call',
      keyOf: (turn) => `client:${1_000_000 + ((turn * 7919) % 10_000)}:10.2`,
      prefill: 10_000,
    },
    { name: '1M keys', keyOf: (turn) => million[(turn * 7919) % 1_000_000] as string, prefill: 1_000_000 },
  ]
}

/** Every scenario: ours by algorithm and all peers in one race, with the clock read in each decision, then once a turn. */
export async function memory(): Promise<string> {
  const out: string[] = []
  for (const scenario of scenarios()) {
    const races: (readonly RaceResult[])[] = []
    for (const perTurn of [undefined, 8, 64]) races.push(await run(scenario, perTurn))
    const [first = []] = races
    const rows = first.map(({ name }, i) => [
      name,
      ...races.flatMap((results) => [ns(results[i] as RaceResult), ratio(results[i] as RaceResult)]),
    ])
    const head = ['', 'ns, clock each time', `× ${FASTEST}`, 'ns, 8 a turn', `× ${FASTEST}`, 'ns, 64 a turn', `× ${FASTEST}`]
    out.push(`### ${scenario.name}\n`, markdown(head, rows), '')
  }
  out.push('### Refused against admitted, 1 hot key\n', await refusals(), '')
  return out.join('\n')
}

/** Ours read the clock once a turn where there are turns; the peers read it themselves, as they always do. */
async function run({ keyOf, prefill }: Scenario, perTurn: number | undefined): Promise<readonly RaceResult[]> {
  const clock = perTurn === undefined ? undefined : turnClock()
  const own = Object.fromEntries(ALGORITHMS.map((algorithm) => [algorithm, ours(algorithm, keyOf, clock)]))
  const contenders: Record<string, Contender> = { ...own, ...peers(keyOf), 'key and clock alone': floor(keyOf) }
  // All keys are known before the race: it is about decisions, not about growing.
  for (const contender of Object.values(contenders)) for (let turn = 0; turn < prefill; turn++) await contender(turn)
  return race(contenders, FASTEST, {
    rounds: 41,
    calls: perTurn === undefined ? 25_600 : 12_800,
    ...(perTurn !== undefined && { perTurn }),
  })
}

async function refusals(): Promise<string> {
  const rows: string[][] = []
  const [key = ''] = keys(1)
  for (const algorithm of ALGORITHMS) {
    const refusing = ours(algorithm, () => key, undefined, '1/d')
    const contenders = {
      admitted: ours(algorithm, () => key),
      refused: refusing,
      'rate-limiter-flexible, refused': peers(() => key, 1)['rate-limiter-flexible'] as Contender,
    }
    for (const contender of Object.values(contenders)) await contender(0)
    const results = await race(contenders, 'admitted', { rounds: 41, calls: 10_000 })
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
