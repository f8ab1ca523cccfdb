// The promises every limit keeps, over random limits and histories, through the public calls on a memory store.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ManualClock, manualClock } from '../core/clock.ts'
import type { Decision } from '../core/decision.ts'
import type { LimitInput } from '../core/limit-set.ts'
import { type MemoryStore, memoryStore } from '../stores/memory/memory-store.ts'
import { createLimiter } from './create-limiter.ts'
import type { Limiter } from './limiter.ts'

const START = 1_700_000_000_000

const amount = fc.integer({ min: 1, max: 9 })
const period = fc.oneof(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 100, max: 5000 }), fc.constantFrom(60_000, 86_400_000))
const rate = fc.tuple(amount, period).map(([n, ms]) => `${n}/${ms}ms`)
const quarter = (most: number): fc.Arbitrary<number> => fc.integer({ min: 4, max: 4 * most }).map((n) => n / 4)

const oneLimit: fc.Arbitrary<LimitInput> = fc.oneof(
  fc.record({
    rate,
    algorithmConfig: fc.record({ precision: fc.oneof(fc.constant('exact' as const), fc.integer({ min: 1, max: 80 })) }),
  }),
  fc.record({
    rate,
    algorithm: fc.constant('fixed_window' as const),
    algorithmConfig: fc.record({ align: fc.constantFrom('clock' as const, 'first' as const) }),
  }),
  fc.record({
    rate,
    algorithm: fc.constant('token_bucket' as const),
    algorithmConfig: fc.record({ bucketSize: quarter(9), refillRate: quarter(20) }),
  }),
  fc.record({ rate, algorithm: fc.constant('leaky_bucket' as const) }),
  fc.record({ rate, algorithm: fc.constant('gcra' as const), algorithmConfig: fc.record({ burst: amount }) }),
)
const named = (limits: LimitInput[]): LimitInput[] => limits.map((limit, i) => ({ ...limit, name: `limit-${i}` }))
const limits = fc.oneof(
  { weight: 2, arbitrary: oneLimit.map((limit) => named([limit])) },
  { weight: 1, arbitrary: fc.array(oneLimit, { minLength: 2, maxLength: 3 }).map(named) },
)

/** Steps relative to the longest period of the limits, so that every boundary is met. */
const history = fc.array(
  fc.record({
    part: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 0.4, noNaN: true }), fc.constantFrom(1, 1.01)),
    cost: fc.integer({ min: 1, max: 4 }),
  }),
  { minLength: 1, maxLength: 25 },
)
type History = readonly { readonly part: number; readonly cost: number }[]

interface Scene {
  readonly clock: ManualClock
  readonly store: MemoryStore
  readonly limiter: Limiter<MemoryStore>
  readonly most: number
  read(): unknown
}

function scene(inputs: LimitInput[]): Scene {
  const clock = manualClock(START)
  const store = memoryStore({ clock, sweepIntervalMs: false })
  const limiter = createLimiter({ rate: inputs, store, clock })
  const set = limiter.limitsFor('k')
  return { clock, store, limiter, most: set?.maxCost ?? 0, read: () => store.read(set as NonNullable<typeof set>, 'k') }
}

function play({ clock, limiter, most }: Scene, steps: History, each: (cost: number) => void): void {
  const longest = Math.max(...(limiter.limitsFor('k')?.limits ?? []).map(({ periodMs }) => periodMs))
  for (const { part, cost } of steps) {
    clock.advance(Math.floor(part * longest))
    each(Math.min(cost, most))
  }
}

const figures = ({ allowed, remaining, resetAfterMs, nextAfterMs, retryAfterMs, standings }: Decision): unknown => ({
  allowed,
  remaining,
  resetAfterMs,
  nextAfterMs,
  retryAfterMs,
  standings,
})

/** Runs a law over random limits and histories. */
function always(law: (at: Scene, steps: History) => void, numRuns = 150): void {
  fc.assert(
    fc.property(limits, history, (inputs, steps) => law(scene(inputs), steps)),
    { numRuns },
  )
}

describe('every limit', () => {
  it('refuses a sole caller one millisecond before retryAfterMs, and admits it then', () => {
    always((at, steps) => {
      play(at, steps, (cost) => {
        const { allowed, retryAfterMs } = at.limiter.check('k', { cost })
        if (allowed) return expect(retryAfterMs).toBeUndefined()
        expect(retryAfterMs).toBeGreaterThan(0)
        at.clock.advance((retryAfterMs as number) - 1)
        expect(at.limiter.check('k', { cost })).toMatchObject({ allowed: false, retryAfterMs: 1 })
        at.clock.advance(1)
        expect(at.limiter.check('k', { cost }).allowed).toBe(true)
      })
    })
  })

  it('is left as it was by a refusal', () => {
    always((at, steps) => {
      play(at, steps, (cost) => {
        const before = at.read()
        const seen = figures(at.limiter.peek('k'))
        if (at.limiter.check('k', { cost }).allowed) return
        expect(at.read()).toEqual(before)
        expect(figures(at.limiter.peek('k'))).toEqual(seen)
      })
    })
  })

  it('is not changed by a peek, which says what the next check will', () => {
    always((at, steps) => {
      play(at, steps, (cost) => {
        const before = at.read()
        const peeked = at.limiter.peek('k', { cost })
        expect(at.read()).toEqual(before)
        const checked = at.limiter.check('k', { cost })
        expect(checked.allowed).toBe(peeked.allowed)
        if (checked.allowed) {
          const left = checked.standings.map(({ remaining }) => remaining)
          expect(left).toEqual(peeked.standings.map(({ remaining }) => remaining - cost))
        } else {
          expect(figures(checked)).toEqual(figures(peeked))
        }
      })
    })
  })

  it('is whole again at resetAfterMs, and not a millisecond earlier', () => {
    always((at, steps) => {
      play(at, steps, (cost) => {
        const { resetAfterMs, standings } = at.limiter.check('k', { cost })
        if (resetAfterMs === 0) return
        const tightest = standings.findIndex((standing) => standing.resetAfterMs === resetAfterMs)
        const full = Math.floor(at.limiter.limitsFor('k')!.limits[tightest]!.burst)
        at.clock.advance(resetAfterMs - 1)
        expect(at.limiter.peek('k').standings[tightest]?.resetAfterMs).toBe(1)
        at.clock.advance(1)
        expect(at.limiter.peek('k').standings[tightest]).toMatchObject({ resetAfterMs: 0, remaining: full })
      })
    })
  })

  it('has more left at nextAfterMs, and not a millisecond earlier', () => {
    fc.assert(
      fc.property(oneLimit, history, (input, steps) => {
        const at = scene(named([input]))
        play(at, steps, (cost) => {
          const { nextAfterMs, remaining } = at.limiter.check('k', { cost })
          if (nextAfterMs === 0) return
          at.clock.advance(nextAfterMs - 1)
          expect(at.limiter.peek('k').remaining).toBe(remaining)
          at.clock.advance(1)
          const grown = at.limiter.peek('k')
          // The rest of a bucket of 10.5 may fill without making another whole request.
          if (remaining < Math.floor(grown.tightest!.burst)) expect(grown.remaining).toBeGreaterThan(remaining)
          else expect(grown.resetAfterMs).toBe(0)
        })
      }),
      { numRuns: 150 },
    )
  })

  it('has at least what remains, at once', () => {
    always((at, steps) => {
      play(at, steps, (cost) => {
        const { allowed, remaining } = at.limiter.check('k', { cost })
        // Of a refusal by several limits the headline is that of the longest wait.
        if (!allowed) return
        if (remaining === 0) return expect(at.limiter.peek('k').allowed).toBe(false)
        expect(at.limiter.peek('k', { cost: remaining }).allowed).toBe(true)
        if (remaining < at.most) expect(at.limiter.peek('k', { cost: remaining + 1 }).allowed).toBe(false)
      })
    })
  })

  it('charges all of several limits or none', () => {
    always((at, steps) => {
      play(at, steps, (cost) => {
        const before = at.limiter.peek('k').standings.map(({ remaining }) => remaining)
        const { allowed } = at.limiter.check('k', { cost })
        const after = at.limiter.peek('k').standings.map(({ remaining }) => remaining)
        expect(after).toEqual(allowed ? before.map((left) => left - cost) : before)
        expect(allowed).toBe(before.every((left) => left >= cost))
      })
    })
  })

  it('from the impossible future makes nobody wait for more than its period, or a full refill', () => {
    always((at, steps) => {
      play(at, steps, (cost) => void at.limiter.check('k', { cost }))
      at.clock.set(1_000_000_000_000)
      const peeked = at.limiter.peek('k', { cost: at.most })
      const checked = at.limiter.check('k', { cost: at.most })
      expect(checked.allowed).toBe(peeked.allowed)
      if (!checked.allowed) expect(figures(checked)).toEqual(figures(peeked))
      for (const [i, limit] of at.limiter.limitsFor('k')!.limits.entries()) {
        const most = limit.kind === 'bucket' ? Math.ceil(limit.capacity / limit.drain) : limit.periodMs + limit.widthMs
        expect(checked.standings[i]?.resetAfterMs).toBeLessThanOrEqual(most)
      }
    })
  })

  it('knows the same of a key whatever is swept in between', () => {
    fc.assert(
      fc.property(limits, history, fc.array(fc.boolean(), { minLength: 25, maxLength: 25 }), (inputs, steps, sweeps) => {
        const [swept, plain] = [scene(inputs), scene(inputs)]
        const answers = [swept, plain].map((at) => {
          let step = 0
          const told: unknown[] = []
          play(at, steps, (cost) => {
            if (at === swept && sweeps[step++] === true) at.store.sweep()
            told.push(figures(at.limiter.check('k', { cost })), figures(at.limiter.check('other', { cost })), at.read())
          })
          return told
        })
        expect(answers[0]).toEqual(answers[1])
      }),
      { numRuns: 150 },
    )
  })
})

describe('a refund', () => {
  it('never leaves more than the capacity, and never makes a key', () => {
    always((at, steps) => {
      at.limiter.refund('k', { cost: 3 })
      expect([at.read(), at.store.size]).toEqual([undefined, 0])
      const full = at.limiter.peek('k').standings.map(({ remaining }) => remaining)
      play(at, steps, (cost) => {
        if (cost % 2 === 1) at.limiter.check('k', { cost })
        else at.limiter.refund('k', { cost })
        const left = at.limiter.peek('k').standings
        left.forEach(({ remaining }, i) => expect(remaining).toBeLessThanOrEqual(full[i] as number))
      })
      expect(at.store.size).toBeLessThanOrEqual(1)
    })
  })

  it('at once takes the charge back as if it had not been', () => {
    always((at, steps) => {
      play(at, steps, (cost) => {
        const before = figures(at.limiter.peek('k'))
        const decision = at.limiter.check('k', { cost })
        at.limiter.refund('k', { of: decision })
        expect(figures(at.limiter.peek('k'))).toEqual(before)
        at.limiter.check('k', { cost })
      })
    })
  })

  it('gives a decision back once, and never more than it cost', () => {
    always((at, steps) => {
      play(at, steps, (cost) => {
        at.limiter.check('k')
        const before = at.limiter.peek('k').standings.map(({ remaining }) => remaining)
        const decision = at.limiter.check('k', { cost })
        at.limiter.refund('k', { of: decision, cost: 1 })
        at.limiter.refund('k', { of: decision, cost: 1_000_000 })
        at.limiter.refund('k', { of: decision })
        expect(at.limiter.peek('k').standings.map(({ remaining }) => remaining)).toEqual(before)
      })
    })
  })

  it('of an ended window gives nothing to a later one', () => {
    fc.assert(
      fc.property(
        fc.constantFrom<LimitInput>(
          { rate: '9/1s', algorithm: 'fixed_window' },
          { rate: '9/1s', algorithmConfig: { precision: 'exact' } },
          { rate: '9/1s' },
        ),
        history,
        (input, steps) => {
          const at = scene([input])
          const decision = at.limiter.check('k', { cost: 9 })
          at.clock.advance(2000)
          play(at, steps, (cost) => {
            at.limiter.check('k', { cost })
            const before = at.read()
            at.limiter.refund('k', { of: decision, cost: 1 })
            expect(at.read()).toEqual(before)
          })
        },
      ),
      { numRuns: 60 },
    )
  })

  it('of decisions never lets what is kept break the bound', () => {
    fc.assert(
      fc.property(oneLimit, history, fc.array(fc.nat(3), { minLength: 25, maxLength: 25 }), (input, steps, refunds) => {
        const at = scene(named([input]))
        const limit = at.limiter.limitsFor('k')!.limits[0]
        let kept: Decision[] = []
        let step = 0
        play(at, steps, (cost) => {
          const decision = at.limiter.check('k', { cost })
          if (decision.allowed) kept.push(decision)
          const back = kept[refunds[step++] as number]
          if (back === undefined) return
          at.limiter.refund('k', { of: back })
          kept = kept.filter((other) => other !== back)
        })
        for (const [from, first] of kept.entries()) {
          let sum = 0
          for (const { cost, now } of kept.slice(from)) {
            sum += cost
            const apart = now - first.now
            if (limit.kind === 'bucket') expect(sum * limit.unit).toBeLessThanOrEqual(limit.capacity + limit.drain * apart)
            else if (apart < limit.periodMs)
              expect(sum).toBeLessThanOrEqual(limit.kind === 'sliding' ? limit.amount : 2 * limit.amount)
          }
        }
      }),
      { numRuns: 250 },
    )
  })
})

describe('a bucket that does not start full', () => {
  it('begins to fill with the first request, refused or not, and again after it was forgotten', () => {
    const initial = fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 0, max: 9 }), fc.integer({ min: 1, max: 9 }))
    fc.assert(
      fc.property(initial, ([bucketSize, tokens, cost]) => {
        fc.pre(cost <= bucketSize && tokens <= bucketSize)
        const at = scene([{ rate: '60/m', algorithm: 'token_bucket', algorithmConfig: { bucketSize, initialTokens: tokens } }])
        for (let life = 0; life < 2; life++) {
          const first = at.limiter.check('k', { cost })
          expect(first.allowed).toBe(cost <= tokens)
          if (!first.allowed) {
            expect(first.retryAfterMs).toBe((cost - tokens) * 1000)
            at.clock.advance((first.retryAfterMs as number) - 1)
            expect(at.limiter.check('k', { cost }).allowed).toBe(false)
            at.clock.advance(1)
            expect(at.limiter.check('k', { cost }).allowed).toBe(true)
          }
          // Full, and a minute more.
          at.clock.advance(bucketSize * 1000 + 60_000)
        }
      }),
    )
  })
})
