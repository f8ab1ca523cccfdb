// `explain` says what an app then does: rule, client, key and answer, against the Express adapter's own middleware. Next: command.ts,
// ../../src/cli/explain.ts.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import express from 'express'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { explainText } from '../../src/cli/explain-text.ts'
import { explain } from '../../src/cli/explain.ts'
import { type RequestParts, standIn } from '../../src/cli/stand-in.ts'
import { styler } from '../../src/cli/terminal.ts'
import { type RequestLike, rateLimitMiddleware } from '../../src/adapters/express.ts'
import { checkSettings } from '../../src/config/check-settings.ts'
import { closeStores, openStores } from '../../src/config/open-stores.ts'
import { type SettingsInput, defineSettings } from '../../src/config/settings.ts'
import { serve } from '../adapters/http.ts'
import { runFolder } from '../servers/run-folder.ts'
import { type BuiltCommand, buildCommand } from './command.ts'

const limits = defineSettings({
  trustedProxies: ['10.0.0.0/8', 'loopback'],
  middleware: {
    defaultRate: '100/m',
    rateLimits: { '/api/': '10/m, 50/h', '/api/open': null, '/*/login': { rate: '5/m', key: 'user' } },
    skipPaths: ['/health'],
    methods: ['GET', 'POST'],
    denyList: '198.51.100.0/24',
    allowList: '203.0.113.7',
  },
  policies: { keyed: { rate: '3/m', key: 'api_key', onMissingKey: 'deny' }, shadow: { rate: '0/m', shadow: true } },
})

async function explained(settings: SettingsInput, parts: RequestParts, policy?: string) {
  const checked = checkSettings(settings)
  const stores = await openStores(checked)
  try {
    return await explain(stores, checked, standIn(parts), policy)
  } finally {
    await closeStores(stores)
  }
}

describe('what is explained is what an app then does', () => {
  it.each<[string, string, Record<string, string>, string | undefined]>([
    ['GET', '/api/users?x=1', {}, 'ip:127.0.0.1'],
    ['GET', '//API/%2e/users', { 'x-forwarded-for': '6.6.6.6, 192.0.2.7, 10.1.1.1' }, 'ip:192.0.2.7'],
    ['POST', '/en/login', { 'x-forwarded-for': '2001:db8:1:2::9' }, 'ip:2001:db8:1::/56'],
    ['GET', '/apiary', { forwarded: 'for=192.0.2.9' }, 'ip:192.0.2.9'],
    ['GET', '/', { 'x-forwarded-for': 'nonsense' }, 'ip:127.0.0.1'],
    ['GET', '/api/open/x', {}, undefined],
    ['GET', '/health', {}, undefined],
    ['DELETE', '/api/users', {}, undefined],
    ['GET', '/', { 'x-forwarded-for': '198.51.100.4' }, undefined],
    ['GET', '/', { 'x-forwarded-for': '203.0.113.7' }, undefined],
  ])('%s %s with %j counts %s', async (method, target, headers, key) => {
    const found = await explained(limits, { method, target, headers, peer: '127.0.0.1' })
    expect(found.passage?.key).toBe(key)

    const app = express()
    const { middleware, trustedProxies } = limits as { middleware: object; trustedProxies: string[] }
    app.use(rateLimitMiddleware({ ...middleware, trustedProxies }))
    let counted: string | undefined
    app.use((request, response) => {
      counted = (request as RequestLike).rateLimit?.key
      response.end()
    })
    await using server = await serve(app)
    const { status, headers: answer } = await server.get(target, headers, method)
    expect(counted).toBe(key)
    expect(status).toBe(found.passage?.decision.allowed === false ? 429 : 200)
    const decision = found.passage?.decision
    const isTold = decision !== undefined && decision.kind !== 'exempt'
    expect(answer['x-ratelimit-limit']).toBe(isTold ? String(decision.limit) : undefined)
  })
})

describe('an explanation', () => {
  const text = async (parts: RequestParts, policy?: string): Promise<string> =>
    explainText(await explained(limits, parts, policy), styler(false)).join('\n')

  it('tells everything on the way to the answer', async () => {
    const told = await text({ target: '/api//users', headers: { 'x-forwarded-for': '192.0.2.7, 10.1.1.1' }, peer: '10.0.0.1' })
    expect(told.split('\n')).toEqual([
      'request  GET /api//users',
      'path     /api/users',
      'rule     /api/ (middleware.rateLimits), the longest that matches',
      'policy   /api/',
      'client   192.0.2.7: the first, from the app outwards, that is no trusted proxy',
      '         by way of 10.0.0.1: a trusted proxy',
      '         by way of 10.1.1.1: a trusted proxy',
      'key      ip:192.0.2.7',
      'limit    10 left of 10 (10-per-m sliding_window)',
      '         50 left of 50 (50-per-h sliding_window)',
      'answer   allowed',
      "         the counters are in the memory of the app's own process, which cannot be reached from here: this is the answer to a first request",
    ])
  })

  it.each<[RequestParts, string | undefined, RegExp]>([
    [{ target: '/health/live' }, undefined, /rule +none: skipPaths has \/health\nanswer +not limited$/],
    [{ method: 'PUT' }, undefined, /rule +none: the middleware does not limit this method/],
    [{ target: '/api/open' }, undefined, /rule +\/api\/open .*: not limited \(null\)\nanswer +not limited$/],
    [{ target: '/x' }, undefined, /rule +no path of middleware\.rateLimits matches: middleware\.defaultRate\npolicy +default/],
    [{ peer: '198.51.100.9' }, undefined, /answer +refused\n +the client is on the denyList$/],
    [{ peer: '203.0.113.7' }, undefined, /answer +not limited\n +the client is on the allowList$/],
    [
      { peer: '192.0.2.1' },
      'keyed',
      /rule +policies\["keyed"\] \(--policy\)[\s\S]*answer +refused\n +it has no key, and onMissingKey/,
    ],
    [{ peer: '192.0.2.1' }, 'shadow', /answer +refused, always \(shadow: passes all the same\)/],
    [{ peer: '2001:db8::1' }, undefined, /client +2001:db8::1, counted as 2001:db8::\/56: the first/],
    [
      { target: '/en/login', user: '42', peer: '10.0.0.1' },
      undefined,
      /client +10\.0\.0\.1: it names nobody[\s\S]*key +user:42\n/,
    ],
    [{ target: '/\u001b[31m', peer: '192.0.2.1' }, undefined, /request +GET \/\\u\{1b\}\[31m\n/],
    [{}, undefined, /client +none\n?[\s\S]*answer +none: middleware\.defaultRate\.key: the request has nothing for "ip"/],
  ])('of %j by %s', async (parts, policy, expected) => {
    expect(await text(parts, policy)).toMatch(expected)
  })

  it('warns of proxies that are everybody, and says when a function failed', async () => {
    const settings = defineSettings({
      trustedProxies: ['0.0.0.0/0'],
      middleware: { defaultRate: '1/m' },
      policies: {
        broken: {
          rate: '1/m',
          key: () => {
            throw new Error('no database')
          },
        },
      },
    })
    const { warnings, error } = await explained(settings, { peer: '192.0.2.1' }, 'broken')
    expect(warnings).toEqual([expect.stringContaining('trusts every address')])
    expect(error).toBe('a function of the settings failed on a stand-in request: no database')
  })

  it('calls functions with a request that has things where frameworks have them', async () => {
    const settings = defineSettings({
      policies: {
        mine: {
          rate: ({ query }: { query: { plan: string } }) => (query.plan === 'pro' ? '9/m' : null),
          key: (request: Record<string, never>) => {
            const { method, path, headers, user, ip, sessionID } = request as unknown as Record<string, unknown>
            return JSON.stringify([method, path, headers, user, ip, sessionID])
          },
        },
      },
    })
    const parts = { method: 'POST', target: '/a?plan=pro', headers: { 'x-a': 'b' }, peer: '192.0.2.1', user: '42', session: 's' }
    const { passage } = await explained(settings, parts, 'mine')
    expect(passage).toMatchObject({
      key: 'fn:["POST","/a",{"x-a":"b"},{"id":"42"},"192.0.2.1","s"]',
      decision: { kind: 'granted', limit: 9 },
    })
    expect((await explained(settings, { peer: '192.0.2.1' }, 'mine')).passage).toMatchObject({ by: 'rate' })
  })
})

describe('the command', () => {
  const cwd = mkdtempSync(join(runFolder(), 'explain-'))
  let command: BuiltCommand
  beforeAll(async () => {
    command = await buildCommand()
    writeFileSync(join(cwd, 'smart-ratelimit.config.json'), JSON.stringify(limits))
  })
  afterAll(() => {
    command.remove()
    rmSync(cwd, { recursive: true })
  })

  it('reads a request as people write it, and answers as JSON', async () => {
    const args = ['explain', 'get /api/login?x=1 HTTP/1.1', '--header', 'X-Forwarded-For: 1.2.3.4', '--ip', '10.0.0.1', '--json']
    const { code, out, err } = await command.run(args, { cwd })
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(JSON.parse(out)).toMatchObject({
      method: 'GET',
      target: '/api/login?x=1',
      path: '/api/login',
      // As many segments as "/api/" and one more.
      rule: { by: 'rateLimits', pattern: '/*/login' },
      policy: '/*/login',
      where: 'middleware.rateLimits["/*/login"]',
      client: {
        address: '1.2.3.4',
        counted_as: '1.2.3.4',
        because: 'untrusted',
        passed: [{ text: '10.0.0.1', verdict: 'trusted' }],
      },
      key: 'ip:1.2.3.4',
      decided_by: null,
      block: true,
      decision: { kind: 'granted', remaining: 5 },
      error: null,
    })
  })

  it('joins headers of a name, and ends with 1 where there is no answer', async () => {
    const lines = ['-H', 'X-Forwarded-For: 192.0.2.7', '-H', 'x-forwarded-for: 10.0.0.2']
    const { out } = await command.run(['explain', '/', ...lines, '--ip', '10.0.0.1'], { cwd })
    expect(out).toMatch(/key +ip:192\.0\.2\.7/)
    const env = { RATELIMIT_REDIS_URL: 'redis://:s3cr3t%40%3A%2F%3F%23@127.0.0.1:1' }
    const down = await command.run(['explain', '/'], { cwd, env })
    expect(down).toMatchObject({ code: 1, err: '' })
    expect(down.out).toMatch(/key|answer +none: store redis: /)
    expect(down.out).not.toContain('s3cr3t')
  })
})
