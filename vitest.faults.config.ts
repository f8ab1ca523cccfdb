// The whole fault suite: `npm run test:faults`. Real servers are killed, stopped, cut and filled, one fault after the other.
// Next: test/faults/row.ts, which plays a fault; vitest.config.ts, whose tests play the most telling ones.

import { defineConfig } from 'vitest/config'
import tests from './vitest.config.ts'

export default defineConfig({
  ...tests,
  test: {
    ...tests.test,
    include: ['test/faults/**/*.fault.ts'],
    reporters: ['verbose', './scripts/ci-reporter.ts'],
    // Two runs at once would measure each other.
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 60_000,
  },
})
