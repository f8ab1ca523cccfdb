// The servers that tests of remote stores run on, tested themselves. Next: servers.ts; servers-missing.test.ts, where there are none.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Cluster, Redis } from 'ioredis'
import { createConnection } from 'mysql2/promise'
import pg from 'pg'
import { describe, expect, it } from 'vitest'
import { isRunning } from './servers/processes.ts'
import {
  describeWithOwnServer,
  describeWithServer,
  startMariadb,
  startPostgres,
  startRedis,
  startRedisCluster,
} from './servers.ts'

const FAIL_FAST = { commandTimeout: 200, maxRetriesPerRequest: 0, enableReadyCheck: false, retryStrategy: () => null }

/** One command on a connection of its own. */
async function command(url: string, ...[name = 'PING', ...args]: string[]): Promise<unknown> {
  const client = new Redis(url, FAIL_FAST)
  client.on('error', () => undefined)
  return client.call(name, ...args).finally(() => client.disconnect())
}

interface Session extends AsyncDisposable {
  row(sql: string): Promise<unknown>
}

async function postgresSession(url: string): Promise<Session> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  return { row: async (sql) => (await client.query(sql)).rows[0] as unknown, [Symbol.asyncDispose]: async () => client.end() }
}

async function mariadbSession(url: string): Promise<Session> {
  const connection = await createConnection(url)
  const row = async (sql: string): Promise<unknown> => {
    const [rows] = await connection.query(sql)
    return (rows as unknown[])[0]
  }
  return { row, [Symbol.asyncDispose]: async () => connection.end() }
}

const prefixes = new Set<string>()

for (const kind of ['redis', 'valkey'] as const) {
  describeWithServer(kind, 'a shared server', (server) => {
    it('keeps what it is told', async () => {
      expect(await command(server.url, 'SET', `${server.prefix}a`, '1', 'PX', '60000')).toBe('OK')
      expect(await command(server.url, 'GET', `${server.prefix}a`)).toBe('1')
    })

    it('gives each block a prefix of its own', () => {
      expect(server.prefix).toMatch(/^t[0-9a-f]{12}:$/)
      expect(prefixes.has(server.prefix)).toBe(false)
      prefixes.add(server.prefix)
    })

    it('makes no databases', async () => {
      await expect(server.freshDatabase()).rejects.toThrow('use server.prefix')
    })
  })
}

describeWithServer('redis', 'a second block', (server) => {
  it('shares the server and not the prefix', async () => {
    expect(prefixes.has(server.prefix)).toBe(false)
    expect(await command(server.url, 'GET', `${[...prefixes][0]}a`)).toBe('1')
  })
})

describeWithServer('redis-cluster', 'a shared cluster', (server) => {
  it('takes writes to keys of all three masters', async () => {
    const cluster = new Cluster([server.url])
    try {
      const keys = Array.from({ length: 100 }, (_, index) => `${server.prefix}${index}`)
      expect(await Promise.all(keys.map((key) => cluster.set(key, key, 'PX', 60_000)))).toEqual(keys.map(() => 'OK'))
      const found = await Promise.all(
        server.urls.map((url) => command(url, 'KEYS', `${server.prefix}*`) as Promise<readonly string[]>),
      )
      expect(found.length).toBe(3)
      expect(found.every((here) => here.length > 0)).toBe(true)
      expect(found.flat().toSorted()).toEqual(keys.toSorted())
    } finally {
      cluster.disconnect()
    }
  })

  it('has every slot on some master', async () => {
    for (const url of server.urls) {
      const ranges = (await command(url, 'CLUSTER', 'SLOTS')) as [number, number][]
      expect(ranges.reduce((sum, [from, to]) => sum + to - from + 1, 0)).toBe(16_384)
    }
  })
})

const DATABASES = [
  { kind: 'postgres', start: startPostgres, open: postgresSession, current: 'current_database()', denied: '28P01' },
  { kind: 'mariadb', start: startMariadb, open: mariadbSession, current: 'DATABASE()', denied: 'ER_ACCESS_DENIED_ERROR' },
] as const

for (const { kind, start, open, current, denied } of DATABASES) {
  const row = async (url: string, sql: string): Promise<unknown> => {
    await using session = await open(url)
    return await session.row(sql)
  }

  describeWithServer(kind, 'a shared database server', (server) => {
    it('gives the block a database of its own', async () => {
      expect(await row(server.url, `SELECT ${current} AS name`)).toEqual({ name: new URL(server.url).pathname.slice(1) })
      await row(server.url, 'CREATE TABLE mine (a int)')
      const other = await server.freshDatabase()
      expect(await row(other, `SELECT ${current} AS name`)).toEqual({ name: new URL(other).pathname.slice(1) })
      await expect(row(other, 'SELECT * FROM mine')).rejects.toThrow(/mine/)
    })

    it('asks for the password', async () => {
      const url = new URL(server.url)
      url.password = 'wrong'
      await expect(row(url.href, 'SELECT 1')).rejects.toMatchObject({ code: denied })
    })
  })

  describeWithOwnServer(kind, 'a database server of its own', () => {
    it('stalls with its open sessions, goes on, dies, comes back with its data and leaves nothing', async () => {
      const server = await start()
      {
        await using session = await open(server.url)
        await session.row('CREATE TABLE kept (a int)')
        await session.row('INSERT INTO kept VALUES (7)')

        await server.kill('SIGSTOP')
        const answer = session.row('SELECT a FROM kept')
        expect(await Promise.race([answer, delay(200, 'nothing')])).toBe('nothing')
        await server.kill('SIGCONT')
        expect(await answer).toEqual({ a: 7 })
      }
      await server.kill('SIGKILL')
      await expect(row(server.url, 'SELECT a FROM kept')).rejects.toThrow('ECONNREFUSED')
      await server.restart()
      expect(await row(server.url, 'SELECT a FROM kept')).toEqual({ a: 7 })

      await server.stop()
      expect([isRunning(server.pid), existsSync(server.folder)]).toEqual([false, false])
    })
  })
}

describeWithOwnServer('redis', 'a Redis of its own', () => {
  it('stalls, goes on, dies and comes back on the same port', async () => {
    await using redis = await startRedis()
    const { pid, port, url } = redis
    expect(await command(url)).toBe('PONG')

    await redis.kill('SIGSTOP')
    await expect(command(url)).rejects.toThrow('Command timed out')
    await redis.kill('SIGCONT')
    expect(await command(url)).toBe('PONG')

    await redis.kill('SIGKILL')
    expect(isRunning(pid)).toBe(false)
    await expect(command(url)).rejects.toThrow('Connection is closed')

    await redis.restart()
    expect(await command(url)).toBe('PONG')
    expect(redis.port).toBe(port)
    expect(redis.pid).not.toBe(pid)
  })

  it('restarts while it runs, and empty', async () => {
    await using redis = await startRedis()
    await command(redis.url, 'SET', 'a', '1')
    await redis.restart()
    expect(await command(redis.url, 'GET', 'a')).toBe(null)
  })

  it('leaves no process and no folder behind, even when it was stalled', async () => {
    const redis = await startRedis()
    expect([isRunning(redis.pid), existsSync(redis.folder)]).toEqual([true, true])
    await redis.kill('SIGSTOP')
    await redis.stop()
    expect([isRunning(redis.pid), existsSync(redis.folder)]).toEqual([false, false])
    await redis.stop()
  })

  it('takes a password', async () => {
    await using redis = await startRedis({ password: 'p@ss/word' })
    expect(await command(redis.url)).toBe('PONG')
    await expect(command(`redis://127.0.0.1:${redis.port}`)).rejects.toThrow('NOAUTH')
    await expect(command(`redis://:wrong@127.0.0.1:${redis.port}`)).rejects.toThrow(/NOAUTH|WRONGPASS/)
  })

  it('is one of a cluster that goes down and comes up with it', async () => {
    await using cluster = await startRedisCluster({ args: ['--cluster-node-timeout', '500'] })
    const [first, second] = cluster.nodes
    if (first === undefined || second === undefined) throw new Error('a cluster has three nodes')
    const state = async (): Promise<string> =>
      /cluster_state:(\w+)/.exec(String(await command(first.url, 'CLUSTER', 'INFO')))?.[1] ?? ''
    await second.kill('SIGKILL')
    while ((await state()) !== 'fail') await delay(20)
    await second.restart()
    while ((await state()) !== 'ok') await delay(20)
    await cluster.stop()
    expect(cluster.nodes.map((node) => isRunning(node.pid))).toEqual([false, false, false])
  })

  it('says in its own words why it did not start', async () => {
    await expect(startRedis({ args: ['--no-such-option', '1'] })).rejects.toThrow(/ended while starting[^]*no-such-option/)
  })
})

describeWithOwnServer('redis', 'a process that cannot stop its server', () => {
  // What a program that starts a Redis does next, by its own will or by force.
  const program = (next: string): string =>
    `import { startRedis } from './test/servers/redis.ts'
     const { pid, folder } = await startRedis()
     console.log(JSON.stringify({ pid, folder }))
     ${next}`

  async function run(next: string): Promise<{ readonly pid: number; readonly folder: string }> {
    const { RATELIMIT_TEST_FOLDER: _, NODE_OPTIONS: __, ...env } = process.env
    const child = spawn(process.execPath, ['--input-type=module', '-e', program(next)], {
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const ended = once(child, 'exit')
    let output = ''
    for await (const chunk of child.stdout) output += String(chunk)
    await ended
    return JSON.parse(output) as { pid: number; folder: string }
  }

  it('takes it along when it ends', async () => {
    const { pid, folder } = await run('process.exit(1)')
    await gone(pid)
    expect(existsSync(dirname(folder))).toBe(false)
  })

  it('takes it along when it is terminated', async () => {
    const { pid, folder } = await run(
      `process.kill(process.pid, 'SIGTERM')\nawait new Promise(() => setInterval(() => {}, 1000))`,
    )
    await gone(pid)
    expect(existsSync(dirname(folder))).toBe(false)
  })

  it.runIf(process.platform === 'linux')('takes it along when it is killed', async () => {
    const { pid, folder } = await run(`process.kill(process.pid, 'SIGKILL')`)
    await gone(pid)
    expect(isRunning(pid)).toBe(false)
    // Nobody was left to remove it.
    rmSync(dirname(folder), { recursive: true })
  })

  /** Fails by the test's own time limit. */
  async function gone(pid: number): Promise<void> {
    while (isRunning(pid)) await delay(10)
  }
})

describe('a run of tests', () => {
  it('has its servers in a temp folder and not in the project', () => {
    const folder = process.env['RATELIMIT_TEST_FOLDER'] ?? ''
    expect(existsSync(folder)).toBe(true)
    expect(folder.startsWith(process.cwd())).toBe(false)
  })
})
