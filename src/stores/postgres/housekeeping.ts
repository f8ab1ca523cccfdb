// The table: made, brought up to date, and cleared a page at a time. Promise: two that set up at once do not meet; no clean-up waits for a
// row that a decision holds, nor deletes one that was used in between. Next: setup.sql, cleanup.sql.

import { StoreError } from '../../core/errors.ts'
import { type CleanupReport, type CleanupSettings, likePattern } from '../maintenance.ts'
import type { RemoteSettings } from '../remote-options.ts'
import type { Calls } from './calls.ts'
import { type Statements, FUNCTIONS_DIGEST, VERSION } from './statements.ts'

const SWEEP_ROWS = 1000
const OLDEST_SERVER = 12
/** Above every character of a key. */
export const ABOVE = '\x7f'
/** Below every key, and above the row that tells the version. */
export const BELOW = ' ~'

/** @throws StoreError where the server is too old, a newer release has made the table, or a right is missing */
export async function setUp(calls: Calls, statements: Statements, store: string, unlogged: boolean | undefined): Promise<void> {
  const [row] = await calls.unhurried(statements.installed, statements.installedValues())
  const [server, persistence, digest] = row ?? []
  if (Number(server) < OLDEST_SERVER * 10_000)
    throw new StoreError(store, `needs PostgreSQL ${OLDEST_SERVER} or newer; this one says ${server}`, {
      code: 'ERR_RATELIMIT_STORE_SETUP',
      kind: 'misconfigured',
    })
  // Where all is as it should be, no right to make tables is needed.
  const asWanted = unlogged === undefined || persistence === (unlogged ? 'u' : 'p')
  if (asWanted && digest === FUNCTIONS_DIGEST) {
    const [version] = await calls.unhurried(statements.version(), ['1'])
    if (Number(version?.[0]) === VERSION) return
  }
  await calls.script(statements.setup(unlogged))
}

/** A page of rows. */
interface Page {
  /** The last key looked at; the empty text when there are no more. */
  readonly last: string
  readonly found: number
  readonly deleted: number
}

/** Deletes what has expired of the rows after a key. */
export async function sweepPage(calls: Calls, statements: Statements, remote: RemoteSettings, after: string): Promise<Page> {
  const settings = { batchSize: SWEEP_ROWS, olderThanMs: undefined, pattern: undefined, dryRun: false }
  return page(calls, statements, remote, settings, after)
}

/** See {@link CleanupSettings}. Rows of other prefixes are not looked at. */
export async function cleanUp(
  calls: Calls,
  statements: Statements,
  remote: RemoteSettings,
  settings: CleanupSettings,
): Promise<CleanupReport> {
  let [found, deleted] = [0, 0]
  for (let last = ''; ;) {
    const next = await page(calls, statements, remote, settings, last)
    found += next.found
    deleted += next.deleted
    last = next.last
    if (last === '') return { found, deleted }
    if (next.deleted > 0) settings.onProgress(deleted)
  }
}

async function page(
  calls: Calls,
  statements: Statements,
  { keyPrefix, clock }: RemoteSettings,
  { batchSize, olderThanMs, pattern, dryRun }: Omit<CleanupSettings, 'onProgress'>,
  after: string,
): Promise<Page> {
  const now = clock?.now() ?? (await serverNow(calls, statements))
  const [row] = await calls.unhurried(statements.cleanup, [
    after !== '' ? after : keyPrefix !== '' ? keyPrefix : BELOW,
    `${keyPrefix}${ABOVE}`,
    String(batchSize),
    likePattern(pattern ?? ['', ''], keyPrefix),
    String(now),
    String(olderThanMs === undefined ? -1 : now - olderThanMs),
    String(!dryRun),
  ])
  const [last, found, deleted] = row ?? []
  return { last: last ?? '', found: Number(found), deleted: Number(deleted) }
}

async function serverNow(calls: Calls, statements: Statements): Promise<number> {
  const [row] = await calls.unhurried(statements.read, [''])
  return Number(row?.[1])
}
