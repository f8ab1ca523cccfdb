import { describe, expect, it } from 'vitest'
import { manualClock } from '../../core/clock.ts'
import { referenceStore } from '../../testing/reference-store.ts'
import { LIFE, LIFE_MS, type PartedStore } from '../canary.ts'
import type { Mode, Store, Taken } from '../store.ts'
import { Life, type Looked } from './life.ts'

const START = 1_700_000_040_000

function world() {
  const clock = manualClock(START)
  let now = referenceStore(clock)
  const asked: [string, Mode][] = []
  const store = {
    name: 's',
    sync: true,
    take: (set, identity, cost, mode, takenAt) => {
      asked.push([identity, mode])
      return now.take(set, identity, cost, mode, takenAt)
    },
  } as Store
  return {
    clock,
    store,
    asked,
    life: new Life(store, 0, 'me', 3000),
    keep: () => now.copy(),
    become: (other: ReturnType<typeof referenceStore>) => (now = other),
    fresh: () => referenceStore(clock),
  }
}

const isOther = (looked: ReturnType<Life['look']>): boolean => (looked as Looked).isOther

describe('the life of a store', () => {
  it('goes on while it keeps what it was told', () => {
    const { life, clock, asked } = world()
    for (const ask of ['tell', 'tell', 'look', 'look', 'tell'] as const) {
      clock.advance(1000)
      expect(life[ask]()).toEqual({ now: clock.now(), isOther: false })
    }
    expect(asked.map(([, mode]) => mode)).toEqual(['take', 'take', 'peek', 'peek', 'take'])
  })

  it.each(['tell', 'look'] as const)('has ended when nothing is left of it: %s', (ask) => {
    const { life, become, fresh, clock } = world()
    life.tell()
    clock.advance(1000)
    become(fresh())
    expect(isOther(life[ask]())).toBe(true)
    clock.advance(1000)
    for (const again of ['look', 'tell', 'look'] as const) expect(isOther(life[again]())).toBe(false)
  })

  it.each(['tell', 'look'] as const)('has ended when it is back where it was before: %s', (ask) => {
    const { life, keep, become, clock } = world()
    life.tell()
    const before = keep()
    clock.advance(1000)
    life.tell()
    become(before)
    clock.advance(1000)
    expect(isOther(life[ask]())).toBe(true)
    for (const again of ['look', 'tell', 'look'] as const) expect(isOther(life[again]())).toBe(false)
  })

  it('goes on with another window when one has ended', () => {
    for (const ask of ['tell', 'look'] as const) {
      const { life, clock } = world()
      life.tell()
      clock.advance(LIFE_MS - 1000)
      life.look()
      clock.advance(1000)
      expect(isOther(life[ask]())).toBe(false)
      for (const again of ['look', 'tell', 'look', 'look'] as const) {
        clock.advance(1000)
        expect(isOther(life[again]())).toBe(false)
      }
    }
    expect(LIFE.limits[0]).toMatchObject({ kind: 'fixed', align: 'first' })
  })

  it('may have ended while nobody looked, when a window has', () => {
    const { life, clock, become, fresh } = world()
    life.tell()
    clock.advance(LIFE_MS - 60_000)
    life.look()
    become(fresh())
    clock.advance(120_000)
    expect(isOther(life.tell())).toBe(true)
    expect(isOther(life.tell())).toBe(false)
  })

  it('is not told by an answer that comes after the next question', async () => {
    const { store, clock } = world()
    const answers: (() => void)[] = []
    const slow = {
      ...store,
      take: (...question: Parameters<Store['take']>) => {
        const { ...taken } = store.take(...question) as Taken
        return new Promise<Taken>((resolve) => answers.push(() => resolve(taken)))
      },
    } as Store
    const life = new Life(slow, 0, 'me', 3000)
    const asked = [life.tell(), life.tell(), life.tell()]
    clock.advance(1000)
    for (const answer of answers.toReversed()) answer()
    expect((await Promise.all(asked)).map((looked) => looked.isOther)).toEqual([false, false, false])
  })

  it('is seen by each process by itself', () => {
    const { store, life } = world()
    const other = new Life(store, 0, 'other', 3000)
    life.tell()
    for (let i = 0; i < 5; i++) expect(isOther(other.tell())).toBe(false)
    expect(isOther(life.look())).toBe(false)
  })

  it('is that of one server of a cluster, also when slots move', () => {
    const { store, asked } = world()
    let shift = 0
    const parted: Store & PartedStore = Object.assign(store, {
      partOf: (_: unknown, identity: string) => (Number(/\d+$/.exec(identity)?.[0]) + shift) % 3,
      addressOf: () => undefined,
    })
    const life = new Life(parted, 2, 'me', 3000)
    life.tell()
    life.tell()
    expect(asked.map(([identity]) => identity)).toEqual(['me2', 'me2'])
    shift = 1
    // It begins anew with another counter, which is no loss.
    expect(isOther(life.tell())).toBe(false)
    expect(asked.at(-1)).toEqual(['me4', 'take'])
  })
})
