// The Redis store against the peers' stores on one Redis: decisions a second, and the CPU of Node and of Redis that each costs.
// Everybody has a connection of the same client; the floor is a bare INCR. Next: redis-peers.ts, how each is called.

import { Redis } from 'ioredis'
import { startRedis } from '../test/servers/redis.ts'
import { markdown, median } from './race.ts'
import { type Contender, type Work, contenders } from './redis-peers.ts'

const IN_FLIGHT = [1, 32, 256, 1024] as const
const ROUNDS = 7

interface Scenario {
  readonly name: string
  readonly work: Work
  readonly inFlight: readonly number[]
}

const SCENARIOS: readonly Scenario[] = [
  { name: '10k keys', work: { keys: 10_000, refused: false }, inFlight: IN_FLIGHT },
  { name: '1 hot key', work: { keys: 1, refused: false }, inFlight: [256] },
  { name: 'refused keys (100 keys, all spent)', work: { keys: 100, refused: true }, inFlight: [256] },
]

interface Measured {
  /** Per round. */
  readonly rates: number[]
  readonly nodeUs: number[]
  readonly redisUs: number[]
}

/** Every scenario, each at its numbers in flight, all contenders in turns. */
export async function redisRace(): Promise<string> {
  await using server = await startRedis()
  const info = new Redis(server.url)
  const out: string[] = []
  for (const { name, work, inFlight } of SCENARIOS) {
    const all = await contenders(server.url, work)
    for (const contender of all) await contender.prepare()
    for (const parallel of inFlight) {
      out.push(`### ${name}, ${parallel} in flight\n`, table(all, await race(all, work, parallel, info)), '')
    }
    for (const contender of all) await contender.end()
    await info.flushall()
  }
  info.disconnect()
  return out.join('\n')
}

/** In turns, so that a machine that is busy for a moment is busy for all. The first round warms up, and tells how much is a turn's. */
async function race(all: readonly Contender[], work: Work, parallel: number, info: Redis): Promise<readonly Measured[]> {
  const results = all.map((): Measured => ({ rates: [], nodeUs: [], redisUs: [] }))
  const counts = all.map(() => (parallel === 1 ? 300 : 3000))
  for (let round = 0; round <= ROUNDS; round++) {
    for (let i = 0; i < all.length; i++) {
      const at = (i + round) % all.length
      const contender = all[at] as Contender
      const count = counts[at] as number
      const redisBefore = await redisCpuUs(info)
      const cpuBefore = process.cpuUsage()
      const start = process.hrtime.bigint()
      await run(contender, work, parallel, count)
      const seconds = Number(process.hrtime.bigint() - start) / 1e9
      const cpu = process.cpuUsage(cpuBefore)
      const redisUs = (await redisCpuUs(info)) - redisBefore
      if (round === 0) counts[at] = Math.max(parallel * 4, Math.ceil((count / seconds) * 0.25))
      else {
        results[at]?.rates.push(count / seconds)
        results[at]?.nodeUs.push((cpu.user + cpu.system) / count)
        results[at]?.redisUs.push(redisUs / count)
      }
    }
  }
  return results
}

/** So many askers, each with one decision in flight. */
async function run(contender: Contender, { keys }: Work, parallel: number, count: number): Promise<void> {
  let asked = 0
  const ask = async (): Promise<void> => {
    while (asked < count) {
      const turn = asked++
      await contender.decide((turn * 7919) % keys)
    }
  }
  await Promise.all(Array.from({ length: parallel }, ask))
}

async function redisCpuUs(info: Redis): Promise<number> {
  const text = await info.info('cpu')
  const value = (name: string): number => Number(new RegExp(`${name}:([\\d.]+)`).exec(text)?.[1] ?? Number.NaN)
  return (value('used_cpu_user') + value('used_cpu_sys')) * 1e6
}

function table(all: readonly Contender[], results: readonly Measured[]): string {
  const rates = results.map((result) => median(result.rates))
  // The floor is no peer: it limits nothing.
  const peers = all.flatMap(({ kind }, i) => (kind === 'peer' ? [i] : []))
  const best = (values: readonly number[]): number =>
    peers.reduce((a, b) => ((values[b] ?? 0) > (values[a] ?? 0) ? b : a), peers[0] ?? 0)
  const fastest = best(rates)
  const cheapest = best(results.map((result) => -median(result.nodeUs)))
  const rows = all.map(({ name }, i) => {
    const own = results[i] as Measured
    const ratio = median(own.rates.map((rate, round) => rate / (results[fastest]?.rates[round] as number)))
    const cpu = median(own.nodeUs.map((us, round) => us / (results[cheapest]?.nodeUs[round] as number)))
    return [
      name,
      ((rates[i] as number) / 1000).toFixed(1),
      ratio.toFixed(2),
      median(own.nodeUs).toFixed(1),
      cpu.toFixed(2),
      median(own.redisUs).toFixed(1),
    ]
  })
  return markdown(['', '1000 a second', '× fastest peer', 'Node µs', '× cheapest peer', 'Redis µs'], rows)
}
