import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Breaker, type BreakerSettings, type BreakerState } from './breaker.ts'

const SETTINGS: BreakerSettings = {
  failureThreshold: 5,
  failureRatio: 0.5,
  slowMs: 80,
  backoffMs: 250,
  maxBackoffMs: 1000,
  successThreshold: 2,
  rampMs: 1000,
}

/** Without jitter: `random` at its end makes every wait the whole one. */
function breaker(own: Partial<BreakerSettings> = {}, random = 1): Breaker {
  return new Breaker({ ...SETTINGS, ...own }, () => random)
}

function opened(own: Partial<BreakerSettings> = {}, random = 1, now = 0): Breaker {
  const made = breaker(own, random)
  made.trip(now)
  return made
}

/** Back since an instant, after two probes. */
function returned(own: Partial<BreakerSettings> = {}, now = 1000): Breaker {
  const made = opened(own)
  made.probeSucceeded(1, now)
  made.probeSucceeded(1, now)
  return made
}

function openUntil({ state }: Breaker): number {
  return state.kind === 'open' ? state.until : expect.fail(`is ${state.kind}`)
}

describe('a closed breaker', () => {
  it('admits every key and wants no probe', () => {
    const made = breaker()
    expect([made.admits(0, 0), made.admits(0.999, 0), made.probeInMs(0)]).toEqual([true, true, undefined])
  })

  it('opens with so many failures in a row, and not with one less', () => {
    const made = breaker()
    for (let i = 0; i < 4; i++) made.failed(i)
    expect(made.state).toEqual({ kind: 'closed' })
    made.failed(4)
    expect(made.state).toEqual({ kind: 'open', until: 254, attempt: 0 })
    expect(made.admits(0, 10_000)).toBe(false)
  })

  it('forgets a row of failures with one success', () => {
    const made = breaker()
    for (let i = 0; i < 4; i++) made.failed(i)
    for (let i = 0; i < 1000; i++) expect(made.succeeded(1, i)).toBe(true)
    made.failed(2000)
    expect(made.state.kind).toBe('closed')
    for (let i = 0; i < 3; i++) made.failed(2001)
    expect(made.state.kind).toBe('closed')
    made.failed(2001)
    expect(made.state.kind).toBe('open')
  })

  it('opens when half of the calls fail, if never in a row, and not before it knows enough of them', () => {
    const made = breaker()
    for (let i = 0; i < 9; i++) {
      made.failed(i)
      made.succeeded(1, i)
    }
    made.succeeded(1, 10)
    expect(made.state.kind).toBe('closed')
    made.failed(11)
    expect(made.state.kind).toBe('open')
  })

  it('bears less than that share for ever', () => {
    const made = breaker()
    for (let i = 0; i < 10_000; i++) {
      if (i % 3 === 0) made.failed(i)
      else made.succeeded(1, i)
    }
    expect(made.state.kind).toBe('closed')
  })

  it('judges by the last 64 calls: what was long ago neither helps nor harms', () => {
    const made = breaker({ failureThreshold: 1000, failureRatio: 1 })
    for (let i = 0; i < 500; i++) made.succeeded(1, i)
    for (let i = 0; i < 63; i++) made.failed(i)
    expect(made.state.kind).toBe('closed')
    made.failed(63)
    expect(made.state.kind).toBe('open')
  })

  it('takes a slow answer for a failure, from the first ms over the bound', () => {
    const made = breaker({ failureThreshold: 1 })
    expect([made.succeeded(80, 0), made.state.kind]).toEqual([true, 'closed'])
    expect([made.succeeded(80.1, 0), made.state.kind]).toEqual([false, 'open'])
  })

  it('counts the slow answers of one turn once, and does not take them for successes', () => {
    const made = breaker()
    for (let i = 0; i < 4; i++) made.failed(i)
    const other = breaker()
    for (let i = 0; i < 1000; i++) other.succeeded(500, 100 + i / 1000)
    expect(other.state.kind).toBe('closed')
    // The row of four goes on with it.
    for (let i = 0; i < 1000; i++) made.succeeded(500, 100 + i / 1000)
    expect(made.state.kind).toBe('open')
  })

  it('opens on turns that are slow one after another', () => {
    const made = breaker()
    for (let i = 1; i <= 4; i++) made.succeeded(500, i * 5)
    expect(made.state.kind).toBe('closed')
    made.succeeded(500, 25)
    expect(made.state.kind).toBe('open')
  })

  it('opens on a stream of slow answers, however dense', () => {
    const made = breaker()
    for (let now = 0; now < 1000; now++) made.succeeded(90, now)
    expect(made.state.kind).toBe('open')
  })

  it('opens at once when the store is known to be of no use', () => {
    expect(opened({}, 1, 7).state).toEqual({ kind: 'open', until: 257, attempt: 0 })
  })

  it('takes a probe for a call', () => {
    const made = breaker({ failureThreshold: 2 })
    made.probeFailed(0)
    made.probeSucceeded(1, 1)
    made.probeFailed(2)
    expect(made.state.kind).toBe('closed')
    made.probeFailed(3)
    expect(made.state.kind).toBe('open')
  })
})

describe('an open breaker', () => {
  it('is not opened further by calls that were on their way', () => {
    const made = opened()
    for (let i = 0; i < 1000; i++) made.failed(100 + i)
    made.trip(2000)
    made.succeeded(500, 2000)
    expect(made.state).toEqual({ kind: 'open', until: 250, attempt: 0 })
  })

  it('is not closed by an answer that was on its way either', () => {
    const made = opened()
    made.succeeded(1, 5)
    expect(made.state.kind).toBe('open')
  })

  it('tells how long until a probe may go', () => {
    const made = opened()
    expect([made.probeInMs(0), made.probeInMs(200), made.probeInMs(250), made.probeInMs(900)]).toEqual([250, 50, 0, 0])
  })

  it('waits twice as long after each probe that failed, up to a bound', () => {
    const made = opened()
    const waits: number[] = []
    let now = 0
    for (let i = 0; i < 6; i++) {
      waits.push(openUntil(made) - now)
      now = openUntil(made)
      made.probeFailed(now)
    }
    expect(waits).toEqual([250, 500, 1000, 1000, 1000, 1000])
  })

  it('has waits of half to whole, by chance', () => {
    expect([0, 0.5, 1].map((random) => openUntil(opened({}, random)))).toEqual([125, 187.5, 250])
  })

  it('bears thousands of failed probes', () => {
    const made = opened({ maxBackoffMs: 60_000 })
    for (let i = 0; i < 5000; i++) made.probeFailed(0)
    expect(openUntil(made)).toBe(60_000)
  })
})

describe('a half-open breaker', () => {
  it('admits nobody, and asks for the next probe at once', () => {
    const made = opened()
    made.probeSucceeded(1, 250)
    expect(made.state).toEqual({ kind: 'half_open', good: 1, attempt: 0 })
    expect([made.admits(0, 250), made.admits(0, 1e9), made.probeInMs(250)]).toEqual([false, false, 0])
  })

  it('needs so many good probes in a row', () => {
    const made = opened({ successThreshold: 3 })
    for (let i = 0; i < 2; i++) made.probeSucceeded(1, 250)
    made.probeFailed(300)
    expect(made.state).toEqual({ kind: 'open', until: 800, attempt: 1 })
    for (let i = 0; i < 2; i++) made.probeSucceeded(1, 800)
    expect(made.state.kind).toBe('half_open')
    made.probeSucceeded(1, 800)
    expect(made.state.kind).toBe('returning')
  })

  it('does not hear of calls that were on their way', () => {
    const made = opened()
    made.probeSucceeded(1, 250)
    const { state } = made
    made.failed(251)
    made.trip(251)
    made.succeeded(1, 251)
    expect(made.state).toBe(state)
  })
})

describe('a returning breaker', () => {
  it('settles first, then takes keys back by their place, then all of them', () => {
    const made = returned()
    expect(made.state).toEqual({ kind: 'returning', since: 1000, settleMs: 1000, rampMs: 1000, attempt: 0 })
    const admitted = (now: number): boolean[] => [0, 0.005, 0.24, 0.26, 0.999].map((place) => made.admits(place, now))
    expect(admitted(1999)).toEqual([false, false, false, false, false])
    // A hundredth from the start, so that there is something to fail on.
    expect(admitted(2000)).toEqual([true, true, false, false, false])
    expect(admitted(2250)).toEqual([true, true, true, false, false])
    expect(admitted(2999)).toEqual([true, true, true, true, false])
    expect(admitted(3000)).toEqual([true, true, true, true, true])
    expect(made.state).toEqual({ kind: 'closed' })
  })

  it('opens at the first failure, and waits longer than before', () => {
    const made = returned()
    made.failed(2100)
    expect(made.state).toEqual({ kind: 'open', until: 2600, attempt: 1 })
  })

  it('opens at the first slow answer and at the first failed probe', () => {
    const [slow, deaf] = [returned(), returned()]
    slow.succeeded(100, 2100)
    deaf.probeFailed(2100)
    expect([slow.state.kind, deaf.state.kind]).toEqual(['open', 'open'])
  })

  it('closes by a probe alone when nobody asks', () => {
    const made = returned()
    made.probeSucceeded(1, 2999)
    expect(made.state.kind).toBe('returning')
    made.probeSucceeded(1, 3000)
    expect(made.state.kind).toBe('closed')
  })

  it('is left out where all keys are to come back at once', () => {
    expect(returned({ rampMs: 0 }).state).toEqual({ kind: 'closed' })
  })

  it('begins with a clean slate', () => {
    const made = breaker()
    for (let i = 0; i < 4; i++) made.failed(0)
    made.trip(0)
    for (let i = 0; i < 2; i++) made.probeSucceeded(1, 1000)
    expect(made.admits(0.9, 3000)).toBe(true)
    made.failed(3001)
    expect(made.state.kind).toBe('closed')
  })
})

describe('a store that flaps', () => {
  /** Comes back, fails so many ms after that, and comes back again. Returns how long its keys take then. */
  function rampAfter(made: Breaker, now: number): number {
    made.trip(now)
    for (let i = 0; i < 2; i++) made.probeSucceeded(1, now + 1000)
    return made.state.kind === 'returning' ? made.state.rampMs : expect.fail(made.state.kind)
  }

  it('takes ever longer to come back, up to eight times', () => {
    const made = breaker()
    const ramps: number[] = []
    let now = 0
    for (let i = 0; i < 6; i++) {
      ramps.push(rampAfter(made, now))
      now += 12_000
      expect(made.admits(0.9, now)).toBe(true)
      now += 29_999
    }
    expect(ramps).toEqual([1000, 2000, 4000, 8000, 8000, 8000])
  })

  it('is forgiven when it has been well for half a minute', () => {
    const made = breaker()
    expect([rampAfter(made, 0), made.admits(0.9, 5000)]).toEqual([1000, true])
    expect([rampAfter(made, 6000), made.admits(0.9, 20_000)]).toEqual([2000, true])
    expect(rampAfter(made, 50_000)).toBe(1000)
  })

  it('is one that fails while it returns as well', () => {
    const made = returned()
    expect(rampAfter(made, 2500)).toBe(2000)
  })
})

describe('any breaker', () => {
  const ALLOWED: Readonly<Record<BreakerState['kind'], readonly BreakerState['kind'][]>> = {
    closed: ['open'],
    open: ['half_open', 'returning', 'closed'],
    half_open: ['open', 'returning', 'closed'],
    returning: ['open', 'closed'],
  }
  const event = fc.record({
    what: fc.constantFrom('failed', 'trip', 'quick', 'slow', 'probe good', 'probe slow', 'probe failed', 'ask'),
    afterMs: fc.integer({ min: 0, max: 3000 }),
    place: fc.double({ min: 0, max: 0.999, noNaN: true }),
  })
  const settings = fc.record({
    failureThreshold: fc.integer({ min: 1, max: 6 }),
    failureRatio: fc.constantFrom(0.25, 0.5, 1),
    slowMs: fc.constant(80),
    backoffMs: fc.integer({ min: 1, max: 500 }),
    maxBackoffMs: fc.integer({ min: 500, max: 2000 }),
    successThreshold: fc.integer({ min: 1, max: 4 }),
    rampMs: fc.constantFrom(0, 100, 1000),
  })

  it('goes only the ways there are, waits no longer than its bound, and admits nobody while it is not well', () => {
    fc.assert(
      fc.property(
        settings,
        fc.array(event, { maxLength: 120 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (own, events, chance) => {
          const made = new Breaker(own, () => chance)
          let now = 0
          for (const { what, afterMs, place } of events) {
            now += afterMs
            const before = made.state
            if (what === 'failed') made.failed(now)
            else if (what === 'trip') made.trip(now)
            else if (what === 'quick') made.succeeded(1, now)
            else if (what === 'slow') made.succeeded(100, now)
            else if (what === 'probe good') made.probeSucceeded(1, now)
            else if (what === 'probe failed' || what === 'probe slow') made.probeFailed(now)
            else made.admits(place, now)
            const { state } = made
            if (state.kind !== before.kind) expect(ALLOWED[before.kind]).toContain(state.kind)
            // Only a probe ends an outage.
            if (before.kind === 'open' && state.kind !== 'open') expect(what).toBe('probe good')
            if (state.kind === 'open' && state !== before) {
              expect(state.until - now).toBeLessThanOrEqual(own.maxBackoffMs)
              expect(state.until - now).toBeGreaterThanOrEqual(Math.min(own.backoffMs, own.maxBackoffMs) / 2)
            }
            if (state.kind === 'half_open') expect(state.good).toBeLessThan(own.successThreshold)
            if (state.kind === 'returning') expect(state.rampMs).toBeLessThanOrEqual(8 * own.rampMs)
            const admitted = [0, 0.25, 0.5, 0.75, 0.999].map((at) => made.admits(at, now))
            // Whoever is further on comes back later.
            expect(admitted).toEqual(admitted.toSorted((a, b) => Number(b) - Number(a)))
            if (state.kind === 'open' || state.kind === 'half_open') expect(admitted).not.toContain(true)
            if (state.kind === 'closed') expect(admitted).not.toContain(false)
          }
        },
      ),
    )
  })

  it('comes back from wherever it is, with probes that are answered and time', () => {
    fc.assert(
      fc.property(settings, fc.array(event, { maxLength: 60 }), (own, events) => {
        const made = new Breaker(own, () => 1)
        let now = 0
        for (const { what, afterMs } of events) {
          now += afterMs
          if (what === 'quick') made.succeeded(1, now)
          else if (what === 'probe good') made.probeSucceeded(1, now)
          else made.failed(now)
        }
        for (let i = 0; i < own.successThreshold; i++) made.probeSucceeded(1, now)
        now += own.maxBackoffMs + 8 * own.rampMs
        expect(made.admits(0.999, now)).toBe(true)
      }),
    )
  })
})
