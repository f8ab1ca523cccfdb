// A real browser for tests. Promise: one per block, without a window, closed afterwards; where there is none the block is one skipped test
// that says why, and with `CI` set one failing test. Next: ../servers/programs.ts, which finds or installs it.

import { type Browser, chromium } from 'playwright-core'
import { afterAll, beforeAll, describe } from 'vitest'
import { needProgram } from '../servers/programs.ts'
import { withoutIt } from '../servers.ts'

/** Names a browser that is there already. */
const VARIABLE = 'RATELIMIT_TEST_CHROMIUM'

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** A `describe` that needs a browser. It is there once the block's tests run. */
export function describeWithBrowser(title: string, body: (browser: () => Browser) => void): void {
  describe(`${title} (chromium)`, async () => {
    let executablePath: string
    try {
      executablePath = process.env[VARIABLE] ?? (await needProgram('chromium'))
    } catch (error) {
      const reason = (error as Error).message
      process.stderr.write(`test browser: ${reason}\n`)
      return withoutIt('chromium', { kind: 'missing', reason }, VARIABLE)
    }
    let browser: Browser | undefined
    beforeAll(async () => {
      browser = await chromium.launch({ executablePath, args: FLAGS })
    }, 60_000)
    afterAll(async () => browser?.close())
    body(() => browser as Browser)
  })
}
