// The closing line of a test run: `N passed, N failed, N skipped`, last on stdout and free of colours.
// Promise: whatever did not pass is counted: files that do not import and errors outside of tests are failures.
// Next: ../vitest.config.ts, which uses it.

import type { Reporter, TestModule } from 'vitest/node'

export default class CiReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const count = { passed: 0, failed: errors.length, skipped: 0, pending: 0 }
    for (const module of modules) {
      if (module.errors().length > 0) count.failed++
      for (const test of module.children.allTests()) count[test.result().state]++
    }
    const line = `${count.passed} passed, ${count.failed} failed, ${count.skipped + count.pending} skipped\n`
    // At exit, so that nothing the runner prints can come after it.
    process.on('exit', () => process.stdout.write(line))
  }
}
