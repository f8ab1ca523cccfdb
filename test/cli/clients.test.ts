// `inspect`, `list`, `reset`, `ban`, `unban` and `bench` on real stores, as processes beside an app that counts. Next: command.ts,
// ../../src/cli/policies.ts.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { AsyncStore } from '../../src/stores/store.ts'
import { openStores } from '../../src/config/open-stores.ts'
import { checkSettings } from '../../src/config/check-settings.ts'
import { fromSettings } from '../../src/config/from-settings.ts'
import type { SettingsInput } from '../../src/config/settings.ts'
import type { RequestView } from '../../src/core/request.ts'
import { type Gate, buildGate } from '../../src/http/gate.ts'
import { buildPathGates } from '../../src/http/path-gates.ts'
import type { ListingStore } from '../../src/stores/listing.ts'
import { standIn } from '../../src/cli/stand-in.ts'
import { describeWithServer } from '../servers.ts'
import { runFolder } from '../servers/run-folder.ts'
import { type BuiltCommand, type Ran, buildCommand } from './command.ts'

const root = mkdtempSync(join(runFolder(), 'clients-'))
let command: BuiltCommand
beforeAll(async () => {
  command = await buildCommand()
})
afterAll(() => {
  command.remove()
  rmSync(root, { recursive: true })
})

const limits = {
  secret: 'sixteen characters or more',
  middleware: { defaultRate: '1000/h', rateLimits: { '/api/': '10/h, 100/d' } },
  policies: {
    login: { rate: '5/h', algorithm: 'token_bucket' },
    keyed: { rate: '3/h', key: 'api_key' },
    both: { rate: '7/h', key: ['user', 'ip'] },
    everybody: { rate: '50/h', key: 'static:all' },
  },
} as const satisfies SettingsInput

interface Answer {
  readonly stores: readonly {
    readonly name: string
    readonly error: string | null
    readonly policies: readonly {
      readonly policy: string
      readonly key: string | null
      readonly banned_for_ms: number
      readonly done?: boolean
      readonly decision: { readonly kind: string; readonly remaining: number; readonly reason?: string } | null
    }[]
  }[]
}

interface Listed {
  readonly stores: readonly {
    readonly counters_seen: number
    readonly more: boolean
    readonly counters: readonly { readonly policy: string | null; readonly key: string; readonly used_share: number | null }[]
  }[]
}

/** What every shared store does. */
function onStore(name: string, where: () => SettingsInput, before: () => readonly string[] = () => []): void {
  const cwd = mkdtempSync(join(root, `${name}-`))
  const run = (...args: string[]): Promise<Ran> => command.run(args, { cwd })
  const json = async <T>(...args: string[]): Promise<T> => {
    const { code, out, err } = await run(...args, '--json')
    expect({ code, err }).toEqual({ code: 0, err: '' })
    return JSON.parse(out) as T
  }
  const settings = (): SettingsInput => ({ ...where(), ...limits, deadlineMs: 10_000, rememberRefusalsMs: false })

  /** The app. */
  async function app<T>(use: (gates: Record<'login' | 'keyed' | 'both' | 'everybody' | 'api', Gate>) => Promise<T>): Promise<T> {
    const { policy, middleware, close } = await fromSettings(checkSettings(settings()))
    const gates = Object.fromEntries(['login', 'keyed', 'both', 'everybody'].map((one) => [one, buildGate(policy(one), one)]))
    const api = buildPathGates(middleware, 'middleware', (own, option) => buildGate(own, option)).find('GET', '/api/x').limiter
    try {
      return await use({ ...gates, api } as never)
    } finally {
      await close()
    }
  }
  const times = async (gate: Gate, view: RequestView, n: number): Promise<string> => {
    let kind = ''
    for (let i = 0; i < n; i++) kind = (await gate.ask(view)).decision.kind
    return kind
  }

  it(`${name}: tells how an app's clients stand, by the keys that the app makes`, async () => {
    writeFileSync(join(cwd, 'smart-ratelimit.config.json'), JSON.stringify(settings()))
    for (const line of before()) expect(await run(...line.split(' '))).toMatchObject({ code: 0 })
    await app(async ({ login, keyed, both, everybody, api }) => {
      expect(await times(login, standIn({ peer: '192.0.2.1' }), 6)).toBe('refused')
      await times(keyed, standIn({ peer: '192.0.2.1', headers: { 'x-api-key': 's3cr3t@:/?#' } }), 2)
      await times(both, standIn({ peer: '192.0.2.1', user: '42' }), 1)
      await times(everybody, standIn({ peer: '192.0.2.1' }), 3)
      await times(api, standIn({ peer: '2001:db8::1', target: '/api/x' }), 4)
    })
    const one = await json<Answer>('inspect', 'ip:192.0.2.1')
    expect(one.stores).toMatchObject([{ name, error: null }])
    expect(
      one.stores[0]?.policies.map(({ policy, key, decision }) => [policy, key, decision?.kind, decision?.remaining]),
    ).toEqual([
      ['login', 'ip:192.0.2.1', 'refused', 0],
      ['keyed', null, undefined, undefined],
      // Without a user the key is the address twice, as for the app.
      ['both', 'all:12:ip:192.0.2.112:ip:192.0.2.1', 'granted', 7],
      ['everybody', null, undefined, undefined],
      ['/api/', 'ip:192.0.2.1', 'granted', 10],
      ['default', 'ip:192.0.2.1', 'granted', 1000],
    ])
    const text = await run('inspect', '192.0.2.1', '-p', 'login')
    expect(text.out).toMatch(
      /login {2}refused, again in \d+ min( \d+ s)? {2}0 left of 5 \(5-per-h token_bucket\), whole again in .* {2}ip:192\.0\.2\.1\n$/,
    )
    const keyed = await json<Answer>('inspect', 'api_key:s3cr3t@:/?#', '--policy', 'keyed')
    expect(keyed.stores[0]?.policies).toMatchObject([{ policy: 'keyed', decision: { remaining: 1 } }])
    expect(JSON.stringify(keyed)).not.toContain('s3cr3t')
    const block = await json<Answer>('inspect', 'ip:2001:db8:0:1::9', '--policy', '/api/')
    expect(block.stores[0]?.policies).toMatchObject([{ key: 'ip:2001:db8::/56', decision: { remaining: 6 } }])
    const both = await json<Answer>('inspect', 'user:42', 'ip:192.0.2.1', '--policy', 'both')
    expect(both.stores[0]?.policies).toMatchObject([{ decision: { remaining: 6 } }])
    const all = await json<Answer>('inspect', 'static:all', '-p', 'everybody')
    expect(all.stores[0]?.policies).toMatchObject([{ key: 'static:all', decision: { remaining: 47 } }])
  })

  it(`${name}: lists who is closest to their limits, and keys that inspect takes`, async () => {
    const { stores } = await json<Listed>('list')
    const [{ counters, counters_seen: seen, more } = { counters: [], counters_seen: 0, more: true }] = stores
    expect({ seen, more }).toEqual({ seen: 5, more: false })
    expect(counters.map(({ policy, used_share: used }) => [policy, used])).toEqual([
      ['login', 1],
      ['keyed', 0.6667],
      ['/api/', 0.4],
      ['both', 0.1429],
      ['everybody', 0.06],
    ])
    const hashed = counters[1]?.key ?? ''
    expect(hashed).toMatch(/^api_key:[\w-]{22}$/)
    const again = await json<Answer>('inspect', '--raw', hashed, '-p', 'keyed')
    expect(again.stores[0]?.policies).toMatchObject([{ key: hashed, decision: { remaining: 1 } }])
    const some = await json<Listed>('list', '--top', '1', '--policy', '/api/')
    expect(some.stores[0]?.counters.map(({ policy }) => policy)).toEqual(['/api/'])
    expect(await json<Listed>('list', '--scan', '2')).toMatchObject({ stores: [{ counters_seen: 2, more: true }] })
    expect((await run('list', '--scan', '2')).out).toMatch(
      new RegExp(`^${name}: the first 2 counters \\(--scan looks at more\\)\n`),
    )
    const { out } = await run('list')
    expect(out).toMatch(new RegExp(`^${name}: 5 counters\n {2}login {6}100 % {2}ip:192\\.0\\.2\\.1 .* refused, again in `))
  })

  it(`${name}: bans and lifts bans, of the app too, and touches nobody else`, async () => {
    const ban = await json<Answer>('ban', 'ip:192.0.2.9', '15m')
    expect(ban.stores[0]?.policies.map(({ policy, done, banned_for_ms: ms }) => [policy, done, ms])).toEqual(
      ['login', 'both', '/api/', 'default'].map((policy) => [policy, true, 900_000]),
    )
    const shorter = await json<Answer>('ban', 'ip:192.0.2.9', '1s', '--policy', 'login')
    expect(shorter.stores[0]?.policies[0]?.banned_for_ms).toBeGreaterThan(800_000)
    await app(async ({ login, api }) => {
      expect(await login.ask(standIn({ peer: '192.0.2.9' }))).toMatchObject({ decision: { kind: 'refused', reason: 'ban' } })
      expect(await api.ask(standIn({ peer: '192.0.2.10' }))).toMatchObject({ decision: { kind: 'granted' } })
    })
    const banned = await json<Answer>('inspect', 'ip:192.0.2.9', '-p', 'login')
    expect(banned.stores[0]?.policies).toMatchObject([{ decision: { kind: 'refused', reason: 'ban' } }])
    expect(banned.stores[0]?.policies[0]?.banned_for_ms).toBeGreaterThan(800_000)
    expect((await json<Listed>('list', '--top', '1')).stores[0]?.counters[0]?.key).toContain('ip:192.0.2.9')
    const lifted = await run('unban', 'ip:192.0.2.9')
    expect(lifted).toMatchObject({
      code: 0,
      out: expect.stringContaining(`${name}: login: no longer banned: ip:192.0.2.9\n`) as string,
    })
    await app(async ({ login }) => {
      expect(await login.ask(standIn({ peer: '192.0.2.9' }))).toMatchObject({ decision: { kind: 'granted' } })
    })
  })

  it(`${name}: forgets what it is told to`, async () => {
    const text = await run('reset', 'ip:192.0.2.1', '--policy', 'login')
    expect(text).toEqual({ code: 0, out: `${name}: login: forgotten: ip:192.0.2.1\n`, err: '' })
    await json<Answer>('reset', 'api_key:s3cr3t@:/?#')
    const after = await json<Answer>('inspect', 'ip:192.0.2.1', '-p', 'login')
    expect(after.stores[0]?.policies).toMatchObject([{ decision: { kind: 'granted', remaining: 5 } }])
    const keys = (await json<Listed>('list')).stores[0]?.counters.map(({ policy, key }) => `${policy} ${key}`)
    expect(keys).toContain('everybody static:all')
    expect(keys).not.toContain('login ip:192.0.2.1')
    expect(keys?.filter((key) => key.startsWith('keyed'))).toEqual([])
  })

  it(`${name}: measures, and leaves nothing behind`, async () => {
    const found = await json<{
      stores: {
        error: unknown
        runs: { in_flight: number; per_second: number; failures: number; latency_ms: Record<string, number> }[]
      }[]
    }>('bench', '--for', '100ms', '--in-flight', '1,32', '--keys', '50')
    expect(found.stores.map(({ error, runs }) => [error, runs.map((one) => one.in_flight)])).toEqual([[null, [1, 32]]])
    for (const {
      per_second: rate,
      failures,
      latency_ms: { p50 = 0, p99 = 0, max = 0 },
    } of found.stores[0]?.runs ?? []) {
      expect(rate).toBeGreaterThan(5)
      expect(failures).toBe(0)
      expect(p50).toBeGreaterThan(0)
      expect(p50 <= p99 && p99 <= max * 1.01).toBe(true)
    }
    const { store, close } = await fromSettings(checkSettings(settings()))
    const left: string[] = []
    for await (const page of (store as unknown as ListingStore).counters()) left.push(...page.counters.map(({ key }) => key))
    await close()
    expect(left.filter((key) => key.startsWith('bench'))).toEqual([])
    expect(left.length).toBeGreaterThan(0)
  })
}

describe('on SQLite', () => {
  onStore('sqlite', () => ({ database: { url: `sqlite:${join(root, 'counters.sqlite')}` } }))
})

describeWithServer('postgres', 'on PostgreSQL', async (server) => {
  const url = await server.freshDatabase()
  onStore(
    'postgres',
    () => ({ database: { url } }),
    () => ['setup'],
  )
})

describeWithServer('mariadb', 'on MariaDB', async (server) => {
  const url = await server.freshDatabase()
  onStore(
    'mysql',
    () => ({ database: { url } }),
    () => ['setup'],
  )
})

describeWithServer('redis', 'on Redis', ({ url, prefix }) => {
  onStore('redis', () => ({ redis: { url }, keyPrefix: prefix }))
})

describe('where there is no answer', () => {
  const config = (settings: SettingsInput): string => {
    const cwd = mkdtempSync(join(root, 'none-'))
    writeFileSync(join(cwd, 'smart-ratelimit.config.json'), JSON.stringify(settings))
    return cwd
  }
  const memory = (): string => config(limits)

  it.each([
    [['inspect', 'ip:192.0.2.1'], 'limiter.peek(key)'],
    [['list'], 'the dashboard'],
    [['reset', 'ip:192.0.2.1'], 'limiter.reset(key)'],
    [['ban', 'ip:192.0.2.1', '1h'], 'limiter.ban(key, ms)'],
    [['unban', 'ip:192.0.2.1'], 'limiter.unban(key)'],
  ])('%j says what to do where counters are in memory', async (args, instead) => {
    const cwd = memory()
    const { code, out, err } = await command.run(args, { cwd })
    expect({ code, err }).toEqual({ code: 1, err: '' })
    expect(out).toContain("memory: the counters are in the memory of the app's own process")
    expect(out).toContain(instead)
    const json = await command.run([...args, '--json'], { cwd })
    expect(json.code).toBe(1)
    expect(JSON.parse(json.out)).toMatchObject({
      stores: [{ name: 'memory', error: expect.stringContaining(instead) as string }],
    })
  })

  it('the other stores of several answer all the same, and the command ends with 1', async () => {
    const cwd = config({
      ...limits,
      stores: [
        { name: 'gone', store: 'redis', config: { url: 'redis://:s3cr3t%40%3A%2F%3F%23@127.0.0.1:1' } },
        { name: 'file', store: 'database', config: { url: `sqlite:${join(root, 'several.sqlite')}` } },
        { name: 'own', store: 'memory' },
      ],
    })
    const { code, out } = await command.run(['ban', 'ip:192.0.2.1', '1h', '-p', 'login', '--json'], { cwd })
    expect(code).toBe(1)
    expect(out).not.toContain('s3cr3t')
    expect(JSON.parse(out)).toMatchObject({
      stores: [
        { name: 'gone', error: expect.stringMatching(/^store gone: /) as string, policies: [] },
        { name: 'file', error: null, policies: [{ policy: 'login', done: true }] },
        { name: 'own', error: expect.stringContaining('memory') as string },
      ],
    })
    const text = await command.run(['list'], { cwd })
    expect(text).toMatchObject({ code: 1, out: expect.stringMatching(/^gone: store gone: .*\nfile: 1 counter\n/) as string })
  })

  it('a policy whose rate is a function is told of, and left out of nothing in silence', async () => {
    const cwd = mkdtempSync(join(root, 'dynamic-'))
    writeFileSync(
      join(cwd, 'smart-ratelimit.config.mjs'),
      `export default { database: { url: 'sqlite:dynamic.sqlite' }, policies: { plan: { rate: () => '5/h', key: ({ user }) => user?.id } } }`,
    )
    const without = await command.run(['reset', 'user:42', '--policy', 'plan'], { cwd })
    expect(without).toEqual({
      code: 1,
      out: 'sqlite: plan: nothing done: its rate is a function of the request; say one with --rate\n',
      err: '',
    })
    const done = await command.run(['ban', 'fn:42', '1h', '--rate', '5/h', '-p', 'plan'], { cwd })
    expect(done).toEqual({ code: 0, out: 'sqlite: plan: banned for 1 h: fn:42\n', err: '' })
    const inspected = await command.run(['inspect', 'user:42', '--rate', '5/h', '-p', 'plan'], { cwd })
    expect(inspected.out).toMatch(/plan {2}banned for (1 h|59 min)/)
    expect((await command.run(['list'], { cwd })).out).toMatch(
      /plan {4}plan\|sliding_window:h\|fn:42 {2}its limit is not known here/,
    )
  })

  it.each([
    [['inspect', 'ip:192.0.2.1', '--policy', 'logn'], /--policy: expected one of .*\(did you mean "login"\?\)/],
    [['list', '--policy', 'kyed'], /did you mean "keyed"/],
    [['explain', '/', '--policy', 'boht'], /did you mean "both"/],
    [['reset', 'usr:42'], /identity: expected .*\(did you mean "user"\?\), received "usr:"/],
    [['inspect', 's3cr3t'], /identity: expected an address, or one of ip:….* received "\(not shown\)"/],
    [['inspect', 'ip:nonsense'], /an address after ip:/],
    [['inspect', 'user:'], /something after user:/],
    [['inspect', 'header:x-tenant'], /header:name:value/],
    [['inspect', '--raw', 'a', 'b'], /one finished key/],
    [['inspect', 'ip:192.0.2.1', '--rate', '5'], /--rate: expected a rate/],
    [['ban', 'ip:192.0.2.1', '15'], /'duration'.*such as 500ms, 30s, 15m, 1h, 7d/],
    [['ban', 'ip:192.0.2.1', 'day'], /'duration'/],
    [['ban', 'ip:192.0.2.1', '20y'], /'duration'/],
    [['ban', 'ip:192.0.2.1', '0s'], /'duration'/],
    [['ban', 'ip:192.0.2.1'], /missing required argument 'duration'/],
    [['list', '--top', '0'], /--top/],
    [['bench', '--in-flight', '1,x'], /--in-flight/],
    [['bench', '--for', 'long'], /--for/],
    [['bench', '--store', 'memry'], /--store: expected one of memory \(did you mean "memory"\?\)/],
    [['bench', '--algorithm', 'luck'], /Allowed choices are sliding_window/],
    [['explain', 'nonsense'], /a method and a path/],
    [['explain', '/', '--header', 'nonsense'], /'Name: value'|X-Forwarded-For: 192/],
    [['explain', '/', '--ip', 'nonsense'], /--ip/],
    [['completion', 'csh'], /Allowed choices are bash, zsh, fish/],
    [['inspct', 'ip:192.0.2.1'], /Did you mean inspect/],
  ] as [string[], RegExp][])('%j is wrong input', async (args, message) => {
    const { code, out, err } = await command.run(args, { cwd: memory() })
    expect({ code, out }).toEqual({ code: 1, out: '' })
    expect(err).toMatch(message)
    expect(err).not.toContain('s3cr3t')
  })

  it('an identity is read from standard input, where nobody sees it', async () => {
    const cwd = config({ database: { url: 'sqlite:stdin.sqlite' }, ...limits })
    const input = 'api_key:s3cr3t@:/?#\n'
    const banned = await command.run(['ban', '-', '1h', '--policy', 'keyed'], { cwd, input })
    expect(banned).toMatchObject({
      code: 0,
      err: '',
      out: expect.stringMatching(/^sqlite: keyed: banned for 1 h: api_key:/) as string,
    })
    const same = await command.run(['inspect', 'api_key:s3cr3t@:/?#', '-p', 'keyed'], { cwd })
    expect(same.out).toMatch(/keyed {2}banned for /)
    const several = await command.run(['inspect', '-', '-p', 'both'], { cwd, input: 'user:42\nip:192.0.2.1\n' })
    expect(several.out).toMatch(/all:7:user:4212:ip:192\.0\.2\.1/)
    expect(await command.run(['inspect', '-'], { cwd })).toMatchObject({
      code: 1,
      err: expect.stringMatching(/identity/) as string,
    })
  })

  it('a policy that is switched off limits nobody, whatever is counted', async () => {
    const cwd = config({
      database: { url: 'sqlite:off.sqlite' },
      policies: { on: '5/h', off: { rate: '5/h', enabled: false } },
      middleware: { defaultRate: null },
    })
    await command.run(['ban', 'ip:192.0.2.1', '1h'], { cwd })
    const { out } = await command.run(['inspect', 'ip:192.0.2.1'], { cwd })
    expect(out).toMatch(/ {2}on +banned for (1 h|59 min)/)
    expect(out).toMatch(/ {2}off +not limited, as it is switched off/)
    const all = await command.run(['inspect', 'ip:192.0.2.1'], { cwd, env: { RATELIMIT_ENABLED: 'false' } })
    expect(all.out).toMatch(/ {2}on +not limited, as it is switched off/)
  })

  it('nobody that a policy counts is changed by an identity that none counts by', async () => {
    const cwd = config({ database: { url: 'sqlite:unused.sqlite' }, policies: {}, middleware: { defaultRate: '5/m' } })
    const { code, err } = await command.run(['reset', 'user:42'], { cwd })
    expect(code).toBe(1)
    expect(err).toMatch(/identity: expected one that a policy counts by/)
  })
})

describe('bench', () => {
  it('measures the memory store in its own process', async () => {
    const cwd = mkdtempSync(join(root, 'memory-'))
    const { code, out } = await command.run(['bench', '--for', '100ms'], { cwd })
    expect(code).toBe(0)
    expect(out).toMatch(/^memory \(memory, this process\)\n {2}in flight {2}decisions\/s .*\n {10}1 +[\d,]+ /)
    expect(out).toContain('in this process')
  })

  it('removes its keys when it is interrupted, and tells what it found until then', async () => {
    const cwd = mkdtempSync(join(root, 'interrupted-'))
    const url = `sqlite:${join(cwd, 'counters.sqlite')}`
    const env = { RATELIMIT_DATABASE_URL: url, RATELIMIT_DEADLINE_MS: '10000' }
    const settings = checkSettings({ database: { url }, deadlineMs: 10_000 })
    const [open] = await openStores(settings)
    const store = open?.store as AsyncStore & ListingStore
    const held = async (): Promise<number> => {
      let count = 0
      for await (const { counters } of store.counters()) count += counters.length
      return count
    }
    const ended = new AbortController()
    const running = command
      .run(['bench', '--for', '10m', '--in-flight', '4', '--keys', '40', '--json'], {
        cwd,
        env,
        begun: (child) => {
          const look = async (): Promise<void> => {
            // Well on its way.
            while (!ended.signal.aborted && (await held()) < 40) await new Promise((resolve) => setImmediate(resolve))
            child.kill('SIGINT')
          }
          look().catch(() => child.kill())
        },
      })
      .finally(() => ended.abort())
    const { code, out, err } = await running
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(JSON.parse(out)).toMatchObject({ stores: [{ name: 'sqlite', error: null }] })
    expect(await held()).toBe(0)
    await store.close()
  })

  it('says why there is nothing to measure', async () => {
    const { code, out } = await command.run(['bench', '--for', '100ms'], {
      cwd: root,
      env: { RATELIMIT_REDIS_URL: 'redis://127.0.0.1:1' },
    })
    expect(code).toBe(1)
    expect(out).toMatch(/^redis \(redis, redis:\/\/127\.0\.0\.1:1\)\n {2}store redis: /)
  })
})
