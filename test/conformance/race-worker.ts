// What a process of a race does: makes a store, says it is ready, and takes when told to. Next: race.ts, which starts two of them.

import type { AlgorithmName } from '../../src/core/limit.ts'
import { createLimiter } from '../../src/limiter/create-limiter.ts'
import type { AsyncStore } from '../../src/stores/store.ts'

/** What a race is about. */
export interface RaceOrder {
  readonly store: { readonly keyPrefix: string; readonly batchSize?: number }
  readonly limiter: { readonly rate: string; readonly name: string; readonly algorithm?: AlgorithmName }
  /** One key, or several that each process takes from in its own order. */
  readonly key: string | readonly string[]
  /** Takes of each process and key, all at once. */
  readonly takes: number
}

/** What a process says. */
export type RaceAnswer =
  | { readonly kind: 'ready' }
  | { readonly kind: 'done'; readonly granted: number }
  | { readonly kind: 'failed'; readonly message: string }

type Message = { readonly kind: 'prepare'; readonly argument: unknown; readonly order: RaceOrder } | { readonly kind: 'go' }

/** Serves the orders of the process that started this one. */
export function work(makeStore: (argument: unknown, options: RaceOrder['store']) => Promise<AsyncStore>): void {
  let store: AsyncStore | undefined
  let order: RaceOrder | undefined
  const prepare = async (argument: unknown, next: RaceOrder): Promise<RaceAnswer> => {
    await store?.close()
    order = next
    store = await makeStore(argument, next.store)
    await store.ping()
    return { kind: 'ready' }
  }
  const go = async (): Promise<RaceAnswer> => {
    if (store === undefined || order === undefined) throw new Error('not prepared')
    const limiter = createLimiter({ ...order.limiter, store })
    const keys = typeof order.key === 'string' ? [order.key] : order.key
    const asked: Promise<{ allowed: boolean }>[] = []
    for (let i = 0; i < order.takes; i++) {
      // Forwards and backwards: what is locked in the order of asking would lock against the other process.
      const ordered = (i + process.pid) % 2 === 0 ? keys : keys.toReversed()
      for (const key of ordered) asked.push(limiter.check(key))
    }
    const decisions = await Promise.all(asked)
    return { kind: 'done', granted: decisions.filter(({ allowed }) => allowed).length }
  }
  process.on('message', (message: Message) => {
    void (message.kind === 'prepare' ? prepare(message.argument, message.order) : go())
      .catch((error: unknown): RaceAnswer => ({ kind: 'failed', message: String(error) }))
      .then((answer) => process.send?.(answer))
  })
  process.on('disconnect', () => process.exit())
}
