// The memory store against the tapes and the reference; and the reference against the tapes, so that it can be trusted.
// Next: ../../src/testing/store-conformance.ts.

import { describe, expect, it } from 'vitest'
import { manualClock } from '../../src/core/clock.ts'
import { memoryStore } from '../../src/stores/memory/memory-store.ts'
import type { Store } from '../../src/stores/store.ts'
import { playTape } from '../../src/testing/play-tape.ts'
import { referenceStore } from '../../src/testing/reference-store.ts'
import { storeConformance } from '../../src/testing/store-conformance.ts'
import { TAPES } from '../../src/testing/tapes.ts'

const makers: Record<string, (clock: ReturnType<typeof manualClock>) => Store> = {
  reference: referenceStore,
  memory: (clock) => memoryStore({ clock, sweepIntervalMs: false }),
}

describe.each(Object.entries(makers))('the %s store', (_name, make) => {
  it.each(TAPES.map((tape) => [tape.name, tape] as const))('plays: %s', async (_title, tape) => {
    const clock = manualClock()
    await playTape(make(clock), clock, tape)
  })
})

describe('the memory store answers like the reference at random', () => {
  it('with room for all keys', async () => {
    const report = await storeConformance((clock) => memoryStore({ clock, sweepIntervalMs: false }), { rounds: 300 })
    expect(report.calls).toBe(300 * 150)
  })

  it('with no more room than the keys need', async () => {
    await storeConformance((clock) => memoryStore({ clock, sweepIntervalMs: false, memoryMaxKeys: 6 }), { rounds: 60 })
  })
})
