// What the judge of fault runs must see. Next: oracle.ts.

import { describe, expect, it } from 'vitest'
import { AMOUNT, PERIOD_MS } from './load.ts'
import { judge } from './oracle.ts'
import type { Heard } from './processes.ts'

const START = 1_700_000_000_000
const MOMENTS = { faultAt: START + 1000, healedAt: START + 4000, lostUntil: START + 1000, apartUntil: START + 1000 }

function heard(at: number, own: Partial<Heard> = {}): Heard {
  const defaults = { process: 0, setup: 0, policy: 'sliding', key: 'own 0', tookMs: 1, lostMs: 0, allowed: true } as const
  return { ...defaults, source: 'primary', askedAt: START + at, now: START + at, ...own }
}

function judged(...decisions: readonly Heard[]): ReturnType<typeof judge> {
  return judge(decisions, { index: 0, name: 'redis' }, MOMENTS, 100)
}

/** So many, one each millisecond. */
function many(count: number, from: number, own: Partial<Heard> = {}): Heard[] {
  return Array.from({ length: count }, (_, i) => heard(from + i, own))
}

describe('the oracle', () => {
  it('sees a limit that was handed out twice, whoever did it', () => {
    for (const policy of ['sliding', 'fixed', 'bucket'] as const) {
      const first = many(AMOUNT, 0, { policy })
      expect(judged(...first).excessAlone).toBe(0)
      const fresh = many(AMOUNT, 100, { policy, source: 'local' })
      const { excessAlone, excessShared, over } = judged(...first, ...fresh)
      expect(excessAlone).toBeGreaterThan(AMOUNT - 5)
      expect(excessShared).toBe(0)
      expect(over[0]).toContain(`${policy} own 0`)
    }
  })

  it('adds up what processes admit for a key that they share', () => {
    const own = { key: 'shared', policy: 'fixed' } as const
    const { excessShared, excessAlone } = judged(...many(AMOUNT, 0, own), ...many(7, 50, { ...own, process: 1 }))
    expect(excessShared).toBe(7)
    expect(excessAlone).toBe(0)
  })

  it('counts refusals for nothing, and what is far apart as well', () => {
    const { excessAlone } = judged(...many(AMOUNT, 0), ...many(9, 100, { allowed: false }), ...many(AMOUNT, PERIOD_MS + 200))
    expect(excessAlone).toBe(0)
  })

  it('tells when all processes noticed, and when all came back', () => {
    const outcome = judged(
      heard(1050, { source: 'local' }),
      heard(1200, { process: 1, source: 'fallback:b', tookMs: 10 }),
      heard(4100, { source: 'local' }),
      heard(4300, { process: 1 }),
      heard(4350, { source: 'local' }),
      heard(4500),
    )
    expect(outcome.detectMs).toBe(210)
    expect(outcome.backMs).toBe(501)
    expect(outcome.returnMs).toBe(351)
    // Another process that comes back later, and one that leaves again much later.
    const later = judged(
      heard(4100, { source: 'local' }),
      heard(4300, { process: 1, source: 'local' }),
      heard(5900, { source: 'local' }),
    )
    expect(later.returnMs).toBe(301)
  })

  it('knows a process that never noticed, and one that never came back', () => {
    const outcome = judged(
      heard(1050, { source: 'local' }),
      heard(1060, { process: 1 }),
      heard(4100),
      heard(4100, { process: 1, source: 'local' }),
    )
    expect(outcome.detectMs).toBeUndefined()
    expect(outcome.backMs).toBe(Infinity)
  })

  it('takes nobody’s busy loop for a slow decision, and a slow decision for nothing else', () => {
    const { longestMs, longestOwnMs, waited } = judged(
      heard(1100, { tookMs: 300, lostMs: 290 }),
      heard(1200, { tookMs: 99, lostMs: 0 }),
      heard(500, { tookMs: 120 }),
    )
    expect(longestMs).toBe(300)
    expect(longestOwnMs).toBe(120)
    expect(waited).toBe(1)
  })

  it('knows for how long decisions were slow after the repair', () => {
    const slow = { tookMs: 80 }
    expect(judged(heard(4000, slow), heard(4100, slow), heard(4200), heard(6000, slow)).quickMs).toBe(180)
  })

  it('knows what processes could not hear of each other', () => {
    const own = { key: 'shared' }
    const before = [heard(900, own), heard(950, { ...own, process: 1 })]
    expect(judged(...before).unseen).toBe(0)
    const left = [...before, heard(1100, { ...own, source: 'local' })]
    expect(judged(...left).unseen).toBe(3)
    // One decides elsewhere until the other does too.
    const apart = [heard(2000, { ...own, source: 'local' }), heard(2500, { ...own, process: 1 })]
    const together = [heard(3000, { ...own, process: 1, source: 'local' }), heard(3900, { ...own, source: 'local' })]
    expect(judged(...left, ...apart, ...together).unseen).toBe(6)
  })
})
