import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { InOrder } from './in-order.ts'

const never = (error: unknown): never => {
  throw error
}

describe('turns', () => {
  it('run at once where nothing waits', () => {
    const order = new InOrder()
    const ran: number[] = []
    order.add(1, (value) => void ran.push(value), never)
    expect([ran, order.waiting]).toEqual([[1], 0])
    expect(() => order.add(undefined, () => never(new Error('mine')), never)).toThrow('mine')
    expect(order.waiting).toBe(0)
  })

  it('run in the order they were asked for, each once, whatever settles first and how', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ now: fc.boolean(), fails: fc.boolean(), rank: fc.double({ min: 0, max: 1, noNaN: true }) })),
        async (turns) => {
          const order = new InOrder()
          const ran: string[] = []
          const settles: { readonly rank: number; settle(): void }[] = []
          turns.forEach(({ now, fails, rank }, at) => {
            const value = now
              ? at
              : new Promise<number>((resolve, reject) => {
                  settles.push({ rank, settle: () => (fails ? reject(new Error(String(at))) : resolve(at)) })
                })
            order.add(
              value,
              (found) => void ran.push(`ran ${found}`),
              (error) => void ran.push(`failed ${(error as Error).message}`),
            )
          })
          for (const one of settles.toSorted((a, b) => a.rank - b.rank)) {
            one.settle()
            await Promise.resolve()
          }
          await new Promise((resolve) => setImmediate(resolve))
          expect(ran).toEqual(turns.map(({ now, fails }, at) => `${!now && fails ? 'failed' : 'ran'} ${at}`))
          expect(order.waiting).toBe(0)
        },
      ),
    )
  })

  it('that throw later are uncaught errors, and hold up no other', async () => {
    const order = new InOrder()
    const ran: string[] = []
    const uncaught: unknown[] = []
    vi.stubGlobal('queueMicrotask', (call: () => void) => {
      try {
        call()
      } catch (error) {
        uncaught.push(error)
      }
    })
    try {
      const error = new Error('mine')
      order.add(Promise.resolve(), () => never(error), never)
      order.add(undefined, () => void ran.push('next'), never)
      await new Promise((resolve) => setImmediate(resolve))
      expect([ran, uncaught, order.waiting]).toEqual([['next'], [error], 0])
    } finally {
      vi.unstubAllGlobals()
    }
  })
})
