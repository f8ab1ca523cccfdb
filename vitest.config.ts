// How the tests run: unit tests beside their files, what crosses files in test/.
// Next: scripts/ci-reporter.ts, which prints the closing line.

import { readFileSync } from 'node:fs'
import { defineConfig } from 'vitest/config'
import { embeddedPageForVite } from './scripts/embed-page.ts'

export default defineConfig({
  plugins: [
    embeddedPageForVite,
    {
      name: 'text-files',
      enforce: 'pre',
      load: (id) => (/\.(lua|sql)$/.test(id) ? `export default ${JSON.stringify(readFileSync(id, 'utf8'))}` : undefined),
    },
  ],
  test: {
    globalSetup: './test/global-setup.ts',
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    reporters: ['default', './scripts/ci-reporter.ts'],
    // Files share a process: what they share is pure, and a worker's start costs more than most files.
    isolate: false,
    pool: 'forks',
    execArgv: ['--expose-gc'],
    testTimeout: 20_000,
    coverage: { include: ['src/**/*.ts'], exclude: ['src/**/*.test.ts', 'src/**/*.d.ts'], reporter: ['text', 'html'] },
  },
})
