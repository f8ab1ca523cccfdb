// What a MariaDB and the way to it can answer with, error by error: how it is classed, what the counter holds afterwards, and who decides
// instead. Real servers. Next: ../../../src/stores/mysql/errors.ts; ../../stores/mysql-faults.test.ts for what else can happen.

import mysql, { type Connection, type RowDataPacket } from 'mysql2/promise'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { AsyncStore } from '../../../src/stores/store.ts'
import { type MysqlStoreOptions, mysqlStore } from '../../../src/stores/mysql/index.ts'
import { openLine } from '../../stores/line.ts'
import { type OwnServer, describeWithOwnServer, startMariadb } from '../../servers.ts'
import { type Break, breakHandshakes } from './broken-handshake.ts'
import { APP, MYSQL_ROWS, PREFIX, type Scene } from './mysql-rows.ts'
import { DEADLINE_MS, play, set } from './table.ts'

const OPTIONS = { keyPrefix: PREFIX, rememberRefusalsMs: false, deadlineMs: DEADLINE_MS } as const satisfies MysqlStoreOptions

/** Nothing was sent, whatever becomes of the connection that is being made. */
const HANDSHAKES: readonly (Break & { readonly fault: string })[] = [
  { fault: 'when it is accepted', how: 'end' },
  { fault: 'when it is accepted', how: 'reset' },
  { fault: 'in the authentication', how: 'end', after: 0 },
  { fault: 'in the authentication', how: 'reset', after: 0 },
]

describeWithOwnServer('mariadb', 'the errors of a MariaDB', () => {
  let server: OwnServer
  let admin: mysql.Pool
  let truth: ReturnType<typeof mysqlStore>

  beforeAll(async () => {
    server = await startMariadb()
    admin = mysql.createPool({ uri: server.url, connectionLimit: 1 })
    truth = mysqlStore({ url: server.url, maxConnections: 1 }, { ...OPTIONS, deadlineMs: 5000 })
    await truth.setup()
    for (const sql of [
      `CREATE USER ${APP} IDENTIFIED BY 'open-sesame'`,
      `GRANT SELECT, INSERT, UPDATE, DELETE ON smart_ratelimit TO ${APP}`,
      // What is written there stays when the rest is rolled back.
      'CREATE TABLE failures (n INT) ENGINE = MyISAM',
      'INSERT INTO failures VALUES (0)',
      'CREATE TABLE meeting (id INT PRIMARY KEY, n INT)',
      'INSERT INTO meeting SELECT seq, 0 FROM seq_0_to_99',
    ])
      await admin.query(sql)
  }, 60_000)

  afterAll(async () => {
    await truth.close()
    await admin.end()
    await server.stop()
  })

  const asApp = (port: number): string => {
    const url = new URL(server.url)
    url.username = 'app'
    url.port = String(port)
    return url.href
  }

  async function opened(url: string): Promise<Connection> {
    const connection = await mysql.createConnection(url)
    connection.on('error', () => {})
    return connection
  }

  it.each(MYSQL_ROWS)('$fault: $kind', { timeout: 60_000 }, async ({ during, url = (same) => same, ...outcome }) => {
    const line = await openLine(server.port)
    const through = line.url(asApp(server.port))
    const scene: Scene = {
      line,
      tell: async (sql, values) => (await admin.query<RowDataPacket[]>(sql, values as unknown[]))[0],
      session: () => opened(server.url),
      appSession: () => opened(asApp(server.port)),
    }
    try {
      const played = play(outcome, {
        make: () => mysqlStore({ url: url(through) }, OPTIONS),
        truth,
        during: (key, act) => (during === undefined ? Promise.resolve(act()) : during(scene, key, act)),
      })
      await expect(played).resolves.toBeUndefined()
    } finally {
      await line.close()
    }
  })

  it.each(HANDSHAKES)('a connection is lost $fault ($how): unavailable', async (how) => {
    await using way = await breakHandshakes(server.port, how)
    const make = (): AsyncStore => mysqlStore({ url: asApp(way.port) }, OPTIONS)
    const outcome = { kind: 'unavailable', message: /while it was being made/, holds: 1 } as const
    await expect(play(outcome, { make, truth, during: async (_, act) => act() })).resolves.toBeUndefined()
    expect(way.broken).toBeLessThan(20)
  })

  it('a connection is lost when TLS is begun: unavailable', async () => {
    await using way = await breakHandshakes(server.port, { how: 'end', after: 0, changes: offeringTls })
    const make = (): AsyncStore => mysqlStore({ url: asApp(way.port), ssl: { rejectUnauthorized: false } }, OPTIONS)
    await expect(
      play({ kind: 'unavailable', holds: 1 }, { make, truth, during: async (_, act) => act() }),
    ).resolves.toBeUndefined()
  })

  it('a server without TLS, where it is asked for: misconfigured', async () => {
    const make = (): AsyncStore => mysqlStore({ url: asApp(server.port), ssl: { rejectUnauthorized: false } }, OPTIONS)
    const outcome = { kind: 'misconfigured', message: /no TLS/, holds: 1 } as const
    await expect(play(outcome, { make, truth, during: async (_, act) => act() })).resolves.toBeUndefined()
  })

  it('a connection that was lost while it was idle is replaced, and nobody is told', async () => {
    const line = await openLine(server.port)
    const store = mysqlStore({ url: line.url(asApp(server.port)) }, OPTIONS)
    try {
      for (const end of ['KILL USER app', '']) {
        expect((await store.take(set, 'idle', 1, 'take')).granted).toBe(true)
        if (end === '') line.cut()
        else await admin.query(end)
        // Until the end of the connection has come here as well.
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
      expect((await store.take(set, 'idle', 1, 'take')).granted).toBe(true)
      expect((await truth.read(set, 'idle'))?.[0]?.[1]).toBe(3)
    } finally {
      await store.close()
      await line.close()
    }
  })
})

/** The server's first message, with the bit set that says that it speaks TLS. */
function offeringTls(greeting: Buffer): Buffer {
  const changed = Buffer.from(greeting)
  // After the head (4), the protocol's version (1), the server's (to a zero), an id (4), a salt (8) and a zero.
  const at = greeting.indexOf(0, 5) + 1 + 4 + 8 + 1
  changed.writeUInt16LE(greeting.readUInt16LE(at) | 0x0800, at)
  return changed
}
