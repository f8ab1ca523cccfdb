// The MySQL and MariaDB store when things go wrong: real servers stopped, restarted, full, read-only, with locked rows and cut lines.
// Next: line.ts, the line that can be cut; ../conformance/mysql.test.ts for when nothing does.

import { inspect } from 'node:util'
import mysql, { type RowDataPacket } from 'mysql2/promise'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { buildLimitSet } from '../../src/core/limit-set.ts'
import { StoreError } from '../../src/core/errors.ts'
import { storeKey } from '../../src/stores/store-key.ts'
import { type MysqlStoreOptions, mysqlStore } from '../../src/stores/mysql/index.ts'
import type { TableStore } from '../../src/stores/maintenance.ts'
import { describeWithOwnServer, startMariadb } from '../servers.ts'
import { type Line, openLine } from './line.ts'

const PATIENT = { deadlineMs: 10_000, rememberRefusalsMs: false } as const satisfies MysqlStoreOptions
const HURRIED = { deadlineMs: 100, rememberRefusalsMs: false } as const satisfies MysqlStoreOptions
/** On a machine that does other things as well. */
const SLACK_MS = 150

/** The server shows its transactions anew only when nobody has looked for 100 ms. */
const SEEN = { interval: 150 }

const set = buildLimitSet('faults', '1000/h', { algorithm: 'fixed_window' })

describeWithOwnServer('mariadb', 'the MySQL store in trouble', () => {
  let server: Awaited<ReturnType<typeof startMariadb>>
  let root: mysql.Pool
  const opened: (() => Promise<unknown>)[] = []

  beforeAll(async () => {
    server = await startMariadb({ args: ['--max-connections=40'] })
    root = mysql.createPool({ uri: server.url, connectionLimit: 3 })
    await fresh(PATIENT).setup()
  }, 60_000)

  afterAll(async () => {
    for (const close of opened) await close()
    await root.end()
    await server.stop()
  })

  function fresh(options: MysqlStoreOptions, url = server.url): TableStore {
    const store = mysqlStore({ url }, options)
    opened.push(async () => store.close())
    return store
  }

  async function failure(promise: PromiseLike<unknown>): Promise<StoreError> {
    const error = await Promise.resolve(promise).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(StoreError)
    return error as StoreError
  }

  const used = async (key: string): Promise<number> => (await fresh(PATIENT).read(set, key))?.[0]?.[1] ?? 0
  const one = async (sql: string): Promise<unknown> => Object.values((await root.query<RowDataPacket[]>(sql))[0][0] ?? {}).at(-1)
  const rowOf = (key: string): string => `ratelimit:${storeKey(set, key)}`

  /** The ids of sessions that wait for a row. */
  const waiting = async (): Promise<unknown[]> => {
    const sql = `SELECT trx_mysql_thread_id AS id FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'`
    return (await root.query<RowDataPacket[]>(sql))[0].map(({ id }) => id as unknown)
  }
  const works = async (store: TableStore, key: string): Promise<boolean> => {
    try {
      return (await store.take(set, key, 1, 'take')).granted
    } catch {
      return false
    }
  }

  async function line(): Promise<Line> {
    const made = await openLine(server.port)
    opened.push(() => made.close())
    return made
  }

  it('settles within the deadline when the server stands still, opens no flood of connections, and goes on when it does', async () => {
    const store = fresh(HURRIED)
    await store.ping()
    await server.kill('SIGSTOP')
    try {
      for (let round = 0; round < 5; round++) {
        const start = performance.now()
        const errors = await Promise.all(Array.from({ length: 50 }, (_, i) => failure(store.take(set, `stop${i}`, 1, 'take'))))
        expect(performance.now() - start).toBeLessThan(HURRIED.deadlineMs + SLACK_MS)
        expect(new Set(errors.map(({ code }) => code))).toEqual(new Set(['ERR_RATELIMIT_STORE_TIMEOUT']))
      }
    } finally {
      await server.kill('SIGCONT')
    }
    await expect.poll(async () => works(store, 'stop')).toBe(true)
    expect(Number(await one("SHOW STATUS LIKE 'Threads_connected'"))).toBeLessThan(20)
  })

  it('does not wait for a row that another session holds longer than the deadline, and leaves nothing of it behind', async () => {
    const store = fresh(HURRIED)
    expect((await store.take(set, 'held', 1, 'take')).granted).toBe(true)
    const holder = await mysql.createConnection(server.url)
    try {
      await holder.beginTransaction()
      await holder.query('SELECT state FROM smart_ratelimit WHERE `key` = ? FOR UPDATE', [rowOf('held')])
      const start = performance.now()
      expect(await failure(store.take(set, 'held', 1, 'take'))).toMatchObject({ code: 'ERR_RATELIMIT_STORE_TIMEOUT' })
      expect(performance.now() - start).toBeLessThan(HURRIED.deadlineMs + SLACK_MS)
      expect((await store.take(set, 'free', 1, 'take')).granted).toBe(true)
      expect((await store.take(set, 'held', 1, 'peek')).granted).toBe(true)
      // The session that waited is gone a second later, though its client could not tell it.
      await expect.poll(waiting, { ...SEEN, timeout: 4000 }).toEqual([])
    } finally {
      await holder.end()
    }
    await expect.poll(() => works(store, 'held')).toBe(true)
    expect(await used('held')).toBe(2)
  })

  it('gives way in a deadlock and decides again: nobody sees it', async () => {
    const store = fresh(PATIENT)
    await Promise.all(['d1', 'd2'].map((key) => store.take(set, key, 1, 'take')))
    const other = await mysql.createConnection(server.url)
    try {
      await other.beginTransaction()
      // The one that has done less is chosen to give way.
      await other.query(
        `INSERT INTO smart_ratelimit VALUES ${Array.from({ length: 50 }, (_, i) => `('heavy${i}', '', 0, 0)`).join(', ')}`,
      )
      const [low, high] = [rowOf('d1'), rowOf('d2')]
      await other.query('UPDATE smart_ratelimit SET updated_at = 1 WHERE `key` = ?', [high])
      const asked = Promise.all(['d1', 'd2'].map((key) => store.take(set, key, 1, 'take')))
      await expect.poll(waiting, SEEN).toHaveLength(1)
      await other.query('UPDATE smart_ratelimit SET updated_at = 1 WHERE `key` = ?', [low])
      await other.rollback()
      expect((await asked).map(({ granted }) => granted)).toEqual([true, true])
    } finally {
      await other.end()
    }
    expect(await one("SHOW STATUS LIKE 'Innodb_deadlocks'")).toBe('1')
    expect([await used('d1'), await used('d2')]).toEqual([2, 2])
  })

  it('asks again on another connection when one was killed before anything was charged', async () => {
    const store = fresh({ ...PATIENT, concurrency: 1 })
    expect((await store.take(set, 'killed', 1, 'take')).granted).toBe(true)
    const holder = await mysql.createConnection(server.url)
    try {
      await holder.beginTransaction()
      await holder.query('SELECT state FROM smart_ratelimit WHERE `key` = ? FOR UPDATE', [rowOf('killed')])
      const asked = store.take(set, 'killed', 1, 'take')
      await expect.poll(waiting, SEEN).toHaveLength(1)
      const [first] = await waiting()
      await root.query(`KILL ${String(first)}`)
      await expect.poll(async () => (await waiting()).filter((id) => id !== first), SEEN).toHaveLength(1)
      await holder.rollback()
      expect((await asked).granted).toBe(true)
    } finally {
      await holder.end()
    }
    expect(await used('killed')).toBe(2)
  })

  it('does not repeat a charge whose answer was lost, and says so', async () => {
    const cut = await line()
    const store = fresh(PATIENT, cut.url(server.url))
    expect((await store.take(set, 'lost', 1, 'take')).granted).toBe(true)
    cut.loseAnswerTo('COMMIT;')
    const error = await failure(store.take(set, 'lost', 1, 'take'))
    expect(error).toMatchObject({ code: 'ERR_RATELIMIT_STORE', kind: 'ambiguous' })
    await expect.poll(() => used('lost')).toBe(2)
    expect((await store.take(set, 'lost', 1, 'take')).granted).toBe(true)
    expect(await used('lost')).toBe(3)
  })

  it('repeats one that was lost before it was sent', async () => {
    const cut = await line()
    const store = fresh(PATIENT, cut.url(server.url))
    expect((await store.take(set, 'early', 1, 'take')).granted).toBe(true)
    cut.loseAnswerTo('START TRANSACTION')
    expect((await store.take(set, 'early', 1, 'take')).granted).toBe(true)
    expect(await used('early')).toBe(2)
  })

  it('is not held up for ever by a process that stands still with rows locked', async () => {
    const still = await line()
    const stalled = fresh(HURRIED, still.url(server.url))
    expect((await stalled.take(set, 'stall', 1, 'take')).granted).toBe(true)
    still.holdBack('COMMIT;')
    expect(await failure(stalled.take(set, 'stall', 1, 'take'))).toMatchObject({ code: 'ERR_RATELIMIT_STORE_TIMEOUT' })
    const start = performance.now()
    expect((await fresh(PATIENT).take(set, 'stall', 1, 'take')).granted).toBe(true)
    expect(performance.now() - start).toBeLessThan(5000)
    expect(await used('stall')).toBe(2)
  })

  it('tells a full server, and needs no restart when it has room again', async () => {
    const taken: mysql.Connection[] = []
    const store = fresh(PATIENT)
    try {
      for (;;) taken.push(await mysql.createConnection(server.url))
    } catch (error) {
      expect(error).toMatchObject({ errno: 1040 })
      const found = await failure(store.take(set, 'full', 1, 'take'))
      expect(found).toMatchObject({ kind: 'unavailable' })
      expect(found.message).toMatch(/max_connections/)
    } finally {
      for (const connection of taken) connection.destroy()
    }
    await expect.poll(() => works(store, 'full')).toBe(true)
  })

  it('tells a read-only server, also by ping, and leaves its connections when the primary is back', async () => {
    await root.query("CREATE USER IF NOT EXISTS 'plain'@'127.0.0.1' IDENTIFIED BY 'plain'")
    await root.query("GRANT SELECT, INSERT, UPDATE, DELETE ON ratelimit.* TO 'plain'@'127.0.0.1'")
    const store = fresh(PATIENT, server.url.replace(/\/\/.*@/, '//plain:plain@'))
    await store.ping()
    await root.query('SET GLOBAL read_only = ON')
    try {
      const found = await failure(store.take(set, 'ro', 1, 'take'))
      expect(found).toMatchObject({ kind: 'wrong_node' })
      expect(found.message).toMatch(/read-only/)
      expect(await failure(store.ping())).toMatchObject({ kind: 'wrong_node' })
      expect((await store.take(set, 'ro', 1, 'peek')).granted).toBe(true)
    } finally {
      await root.query('SET GLOBAL read_only = OFF')
    }
    expect((await store.take(set, 'ro', 1, 'take')).granted).toBe(true)
    expect(await failure(store.setup())).toMatchObject({ kind: 'misconfigured' })
  })

  it('keeps its counters over a restart of the server, and its own connections find the way back', async () => {
    const store = fresh(PATIENT)
    expect((await store.take(set, 'restart', 3, 'take')).granted).toBe(true)
    await server.restart()
    expect((await store.take(set, 'restart', 1, 'take')).granted).toBe(true)
    expect(await used('restart')).toBe(4)
    await server.kill('SIGKILL')
    const found = await failure(store.take(set, 'restart', 1, 'take'))
    expect(found).toMatchObject({ kind: 'unavailable' })
    expect(found.message).toMatch(/refused/)
    await server.restart()
    expect((await store.take(set, 'restart', 1, 'take')).granted).toBe(true)
    expect(await used('restart')).toBe(5)
  }, 60_000)

  it('says what is wrong with a connection, and never a password', async () => {
    const secret = 's3cr3t@:/?#'
    const { host, pathname } = new URL(server.url)
    const wrong = {
      'wrong user or password': { url: `mysql://ratelimit:${encodeURIComponent(secret)}@${host}${pathname}` },
      'no such database': { url: server.url, database: 'nowhere' },
      refused: { host: '127.0.0.1', port: 1, user: 'ratelimit', password: secret, database: 'ratelimit' },
    }
    wrong['no such database'].url = wrong['no such database'].url.replace(/\/[^/]*$/, '')
    for (const [text, source] of Object.entries(wrong)) {
      const store = mysqlStore(source, PATIENT)
      const found = await failure(store.take(set, 'k', 1, 'take'))
      expect(found.message).toContain(text)
      expect(found.kind).toBe(text === 'refused' ? 'unavailable' : 'misconfigured')
      expect(`${inspect(found, { depth: 9, showHidden: true })} ${inspect(store, { depth: 9, showHidden: true })}`).not.toMatch(
        /s3cr3t/,
      )
      await store.close()
    }
  })
})
