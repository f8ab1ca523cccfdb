// The test kit: `import … from 'smart-ratelimit/testing'`. For apps: a clock that is fed and assertions about limiters.
// For authors of stores: the tapes, the reference and the conformance suite. Needs no test framework. Start reading at tapes.ts.

export { type ManualClock, manualClock } from '../core/clock.ts'
export { AssertionError } from './assertion-error.ts'
export { assertAllowed, assertRefused, assertRemaining, exhaust } from './assertions.ts'
export { playTape } from './play-tape.ts'
export { type ReferenceStore, referenceStore } from './reference-store.ts'
export { type SeededRandom, seededRandom } from './seeded-random.ts'
export { type ConformanceOptions, type ConformanceReport, type MakeStore, storeConformance } from './store-conformance.ts'
export { type Tape, type TapeCall, type TapeStep, TAPE_START_MS, TAPES } from './tapes.ts'
