// What a Redis and the way to it can answer with, error by error: how it is classed, what the counter holds afterwards, and who decides
// instead. Real servers, by both clients. What only a cluster says is in ../../stores/redis-cluster.test.ts, and what a full memory does in
// ../../stores/redis-faults.test.ts. Next: ../../../src/stores/redis/errors.ts.

import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { AsyncStore } from '../../../src/stores/store.ts'
import { type RedisStoreOptions, redisStore } from '../../../src/stores/redis/index.ts'
import { type Line, openLine } from '../../stores/line.ts'
import { type OwnServer, describeWithOwnServer, startRedis } from '../../servers.ts'
import { type Break, breakHandshakes } from './broken-handshake.ts'
import { DEADLINE_MS, type Outcome, play, until, onTheLine } from './table.ts'

const OPTIONS = {
  keyPrefix: 'taxonomy:',
  rememberRefusalsMs: false,
  deadlineMs: DEADLINE_MS,
} as const satisfies RedisStoreOptions

interface Scene {
  readonly line: Line
  readonly server: OwnServer
  /** On a connection that was there before the fault. */
  readonly tell: (...command: readonly [string, ...(string | number)[]]) => Promise<unknown>
}

interface Row extends Outcome {
  readonly fault: string
  readonly url?: (url: string) => string
  readonly during?: <T>(scene: Scene, key: string, act: () => PromiseLike<T>) => Promise<T>
}

type Command = readonly [string, ...(string | number)[]]

/** What a command does is undone by others. */
function between(commands: readonly Command[], ...undo: readonly Command[]): NonNullable<Row['during']> {
  return async ({ tell }, _, act) => {
    for (const command of commands) await tell(...command)
    try {
      return await act()
    } finally {
      for (const command of undo) await tell(...command)
    }
  }
}

const PRIMARY: Command = ['REPLICAOF', 'NO', 'ONE']
const PAUSE_MS = DEADLINE_MS + 500

const ROWS: readonly Row[] = [
  // Not executed, and asked again at once.
  { fault: 'NOSCRIPT', kind: 'none', holds: 2, during: between([['SCRIPT', 'FLUSH']]) },

  // Not executed, and this server will not do it.
  {
    fault: 'READONLY: a replica',
    kind: 'wrong_node',
    message: /replica/,
    holds: 1,
    during: between([['REPLICAOF', '127.0.0.1', 1]], PRIMARY),
  },
  {
    fault: 'MASTERDOWN: a replica that does not answer without its primary',
    kind: 'wrong_node',
    message: /replica/,
    holds: 1,
    during: between(
      [
        ['CONFIG', 'SET', 'replica-serve-stale-data', 'no'],
        ['REPLICAOF', '127.0.0.1', 1],
      ],
      PRIMARY,
      ['CONFIG', 'SET', 'replica-serve-stale-data', 'yes'],
    ),
  },

  // Not executed, and the server is not well.
  {
    fault: 'BUSY: a script that runs for long',
    kind: 'unavailable',
    message: /another script/,
    holds: 1,
    async during({ server, tell }, _, act) {
      await tell('CONFIG', 'SET', 'busy-reply-threshold', 20)
      const busy = new Redis(server.url)
      const running = busy.eval('while true do end', 0).catch(() => undefined)
      await until(() =>
        tell('PING').then(
          () => false,
          () => true,
        ),
      )
      try {
        return await act()
      } finally {
        await tell('SCRIPT', 'KILL')
        await running
        busy.disconnect()
      }
    },
  },
  {
    fault: 'NOREPLICAS',
    kind: 'unavailable',
    message: /too few replicas/,
    holds: 1,
    during: between([['CONFIG', 'SET', 'min-replicas-to-write', 1]], ['CONFIG', 'SET', 'min-replicas-to-write', 0]),
  },
  {
    fault: 'MISCONF: it cannot save',
    kind: 'unavailable',
    message: /cannot save/,
    holds: 1,
    async during({ server, tell }, _, act) {
      await tell('CONFIG', 'SET', 'save', '3600 1')
      // Where it would write there is a folder.
      await tell('CONFIG', 'SET', 'dbfilename', 'nowhere')
      await tell('CONFIG', 'SET', 'dir', '/proc')
      await tell('BGSAVE')
      await until(async () => String(await tell('INFO', 'persistence')).includes('rdb_last_bgsave_status:err'))
      try {
        return await act()
      } finally {
        await tell('CONFIG', 'SET', 'dir', `${server.folder}/data`)
        await tell('CONFIG', 'SET', 'save', '')
        await tell('BGSAVE')
        await until(async () => String(await tell('INFO', 'persistence')).includes('rdb_last_bgsave_status:ok'))
      }
    },
  },

  // It may have been executed.
  {
    fault: 'the connection is lost after it was charged, before the answer',
    kind: 'ambiguous',
    message: /may have been charged/,
    holds: 2,
    during: onTheLine('loseAnswerTo'),
  },
  {
    fault: 'the connection is lost with the question',
    kind: 'ambiguous',
    message: /may have been charged/,
    holds: 1,
    during: onTheLine('loseQuestion'),
  },
  {
    fault: 'no answer comes, and no question arrives',
    kind: 'ambiguous',
    code: 'ERR_RATELIMIT_STORE_TIMEOUT',
    holds: 1,
    during: onTheLine('holdBack'),
  },
  {
    fault: 'no answer comes, and the question is carried out later',
    kind: 'ambiguous',
    code: 'ERR_RATELIMIT_STORE_TIMEOUT',
    holds: 2,
    async during({ tell }, _, act) {
      await tell('CLIENT', 'PAUSE', PAUSE_MS, 'WRITE')
      const done = await act()
      // A client that is closed takes back what waits on the server.
      await tell('CLIENT', 'UNPAUSE')
      await until(async () => /blocked_clients:0/.test(String(await tell('INFO', 'clients'))))
      return done
    },
  },

  // Somebody has to change something.
  {
    fault: 'NOAUTH: no password is given',
    kind: 'misconfigured',
    message: /asks for a password/,
    holds: 1,
    during: between([['CONFIG', 'SET', 'requirepass', 'x']], ['CONFIG', 'SET', 'requirepass', '']),
  },
  {
    fault: 'WRONGPASS: a wrong user or password',
    kind: 'misconfigured',
    message: /check username and password/,
    holds: 1,
    url: (url) => url.replace('//', '//nobody:s3cr3t@'),
  },
  {
    fault: 'NOPERM: a right is missing',
    kind: 'misconfigured',
    message: /the user needs/,
    holds: 1,
    url: (url) => url.replace('//', '//poor:pw@'),
  },
]

const SILENT = { kind: 'ambiguous', code: 'ERR_RATELIMIT_STORE_TIMEOUT' } as const

/** Nothing was sent, whatever becomes of the connection that is being made. */
const HANDSHAKES: readonly (Break & { readonly fault: string })[] = [
  { fault: 'when it is accepted', how: 'end' },
  { fault: 'when it is accepted', how: 'reset' },
  { fault: 'with the first message', how: 'end', after: 0 },
  { fault: 'with the first message', how: 'reset', after: 0 },
]

describeWithOwnServer('redis', 'the errors of a Redis', () => {
  let server: OwnServer
  let admin: Redis
  let truth: AsyncStore

  beforeAll(async () => {
    server = await startRedis({ args: ['--enable-protected-configs', 'yes'] })
    admin = new Redis(server.url)
    truth = redisStore({ url: server.url }, { ...OPTIONS, deadlineMs: 5000 })
    await admin.call('ACL', 'SETUSER', 'poor', 'on', '>pw', '~*', '+ping', '+hello', '+info', '+client', '+select')
  })

  afterAll(async () => {
    await truth.close()
    admin.disconnect()
    await server.stop()
  })

  describe.each(['ioredis', 'redis'] as const)('by %s', (client) => {
    it.each(ROWS)('$fault: $kind', { timeout: 60_000 }, async ({ during, url = (same) => same, ...row }) => {
      const line = await openLine(server.port)
      const tell: Scene['tell'] = (name, ...parts) => admin.call(name, ...parts)
      try {
        const played = play(row, {
          make: () => redisStore({ url: url(line.url(server.url)), client }, OPTIONS),
          truth,
          during: (key, act) => (during === undefined ? Promise.resolve(act()) : during({ line, server, tell }, key, act)),
        })
        await expect(played).resolves.toBeUndefined()
      } finally {
        await line.close()
      }
    })

    it.each(HANDSHAKES)('a connection is lost $fault ($how): nothing is charged', async (how) => {
      const silent = client === 'ioredis' && how.how === 'end'
      await using way = await breakHandshakes(server.port, how)
      const make = (): AsyncStore => redisStore({ url: `redis://127.0.0.1:${way.port}`, client }, OPTIONS)
      await expect(
        play(
          { ...(silent ? SILENT : ({ kind: 'unavailable' } as const)), holds: 1 },
          { make, truth, during: async (_, act) => act() },
        ),
      ).resolves.toBeUndefined()
      expect(way.broken).toBeLessThan(50)
    })
  })
})
