// What observers see of requests over HTTP: method, route pattern, address, and keys that hide what is secret. Next: live.test.ts.

import { AsyncLocalStorage } from 'node:async_hooks'
import { mkdtempSync, rmSync } from 'node:fs'
import type { RequestListener } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import express from 'express'
import { afterEach, describe, expect, it } from 'vitest'
import { rateLimit, rateLimitMiddleware } from '../../src/adapters/express.ts'
import type { DecisionContext, ObservedRequest, Observer } from '../../src/core/observer.ts'
import { addObserver } from '../../src/core/watching.ts'
import { memoryStore } from '../../src/stores/memory/memory-store.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { type LiveView, liveView } from '../../src/monitor/live-view.ts'
import { serve } from '../adapters/http.ts'

const disposers: (() => void)[] = []
afterEach(() => {
  for (const dispose of disposers.splice(0)) dispose()
})

function seen(): { readonly all: Seen[] } {
  const all: Seen[] = []
  const observer: Observer = {
    onDecision: ({ policy, kind, reason }, key, context) =>
      void all.push({ policy, kind, reason, key, context, request: context.request }),
  }
  disposers.push(addObserver(observer))
  return { all }
}

interface Seen {
  readonly policy: string
  readonly kind: string
  readonly reason: string | undefined
  readonly key: string | undefined
  readonly context: DecisionContext
  readonly request: ObservedRequest | undefined
}

function view(): LiveView {
  const made = liveView()
  disposers.push(() => made.close())
  return made
}

const PASSWORD = 's3cr3t@:/?#'

describe('over HTTP an observer', () => {
  it('sees the method, the route’s pattern, the target and the address that the key is made of', async () => {
    const { all } = seen()
    const app = express()
    app.get(
      '/orders/:id',
      rateLimit({ name: 'orders', rate: '1/m', store: memoryStore(), trustedProxies: ['loopback'] }),
      (_request, response) => {
        response.send('ok')
      },
    )
    await using server = await serve(app as RequestListener)
    const from = { 'x-forwarded-for': '6.6.6.6, 203.0.113.9' }
    expect((await server.get('/orders/7?x=1', from)).status).toBe(200)
    expect((await server.get('/orders/8', from)).status).toBe(429)
    const [first, second] = all
    const { method, route, url, address } = all[0]?.request ?? ({} as ObservedRequest)
    expect({ method, route, url, address, key: first?.key }).toEqual({
      method: 'GET',
      route: '/orders/:id',
      url: '/orders/7?x=1',
      address: '203.0.113.9',
      key: 'ip:203.0.113.9',
    })
    expect(second).toMatchObject({ kind: 'refused', key: 'ip:203.0.113.9' })
  })

  it('never sees an API key or a session id, but its fingerprint', async () => {
    const { all } = seen()
    const live = view()
    const app = express()
    app.use((request, _response, next) => {
      Object.assign(request, { sessionID: PASSWORD })
      next()
    })
    app.get('/key', rateLimit({ name: 'by key', rate: '0/m', key: 'api_key', store: memoryStore() }))
    app.get('/session', rateLimit({ name: 'by session', rate: '0/m', key: 'session', store: memoryStore() }))
    await using server = await serve(app as RequestListener)
    await server.get('/key', { 'x-api-key': PASSWORD })
    await server.get('/session')
    expect(all.map(({ key }) => key)).toEqual([
      expect.stringMatching(/^api_key:[\w-]{22}$/),
      expect.stringMatching(/^session:[\w-]{22}$/),
    ])
    expect(live.offenders()).toHaveLength(2)
    expect(JSON.stringify([live.offenders(), live.snapshot()])).not.toContain('s3cr3t')
    expect(live.csv('offenders')).not.toContain('s3cr3t')
  })

  it('hears of what lists, keys and the kill switch decide, too', async () => {
    const { all } = seen()
    const live = view()
    const app = express()
    const store = memoryStore()
    app.get('/deny', rateLimit({ name: 'deny', rate: '9/m', store, denyList: ['127.0.0.0/8'] }))
    app.get('/allow', rateLimit({ name: 'allow', rate: '9/m', store, allowList: ['127.0.0.0/8'] }))
    app.get('/keyless', rateLimit({ name: 'keyless', rate: '9/m', store, key: 'header:x-who', onMissingKey: 'deny' }))
    app.get('/off', rateLimit({ name: 'off', rate: '9/m', store, enabled: false }))
    app.get('/skip', rateLimit({ name: 'skip', rate: '9/m', store, skipIf: () => true }))
    await using server = await serve(app as RequestListener)
    for (const path of ['/deny', '/allow', '/keyless', '/off', '/skip']) await server.get(path)
    expect(all.map(({ policy, kind, reason, key }) => [policy, kind, reason, key])).toEqual([
      ['deny', 'refused', 'list', undefined],
      ['allow', 'exempt', undefined, undefined],
      ['keyless', 'refused', 'key', undefined],
      ['off', 'exempt', undefined, undefined],
      ['skip', 'exempt', undefined, undefined],
    ])
    expect(live.offender('ip:127.0.0.1')).toMatchObject({ count: 2, reasons: { list: 1, key: 1 } })
  })

  it('is called in the context of its own request, also when the answer comes later', async () => {
    const context = new AsyncLocalStorage<string>()
    const heard: string[] = []
    const observer: Observer = {
      onDecision: (_decision, _key, { request }) => void heard.push(`${request?.url} in ${context.getStore()}`),
    }
    disposers.push(addObserver(observer))
    const app = express()
    app.use((request, _response, next) => context.run(request.url, next))
    // A store that gathers the questions of a turn: all of them are answered by one trip.
    const folder = mkdtempSync(join(tmpdir(), 'observed-'))
    const store = sqliteStore(join(folder, 'counters.sqlite'))
    disposers.push(() => rmSync(folder, { recursive: true, force: true }))
    app.get('/:any', rateLimit({ name: 'each', rate: '100/m', store }), (_request, response) => void response.send('ok'))
    await using server = await serve(app as RequestListener)
    await Promise.all(Array.from({ length: 20 }, (_, i) => server.get(`/${i}`)))
    expect(heard.toSorted()).toEqual(Array.from({ length: 20 }, (_, i) => `/${i} in /${i}`).toSorted())
    await store.close()
  })
})

describe('the live view over HTTP', () => {
  it('counts by pattern, never by a path that a client made up', async () => {
    const live = view()
    const app = express()
    app.use(rateLimitMiddleware({ store: memoryStore(), rateLimits: { '/api/': '2/m' }, defaultRate: null }))
    app.get(
      '/orders/:id',
      rateLimit({ name: 'orders', rate: '100/m', store: memoryStore() }),
      (_request, response) => void response.send('ok'),
    )
    app.get('/api/*path', (_request, response) => void response.send('ok'))
    await using server = await serve(app as RequestListener)
    for (let i = 0; i < 3; i++) await server.get(`/orders/${i}`)
    for (let i = 0; i < 3; i++) await server.get(`/api/${i}`)
    await server.get('/orders/1', {}, 'HEAD')
    const paths = Object.fromEntries(
      live.snapshot().paths.map(({ pattern, totals }) => [pattern, [totals.granted, totals.refused]]),
    )
    expect(paths).toEqual({ 'GET /orders/:id': [3, 0], 'GET /api/': [2, 1], 'HEAD /orders/:id': [1, 0] })
    expect(live.offender('ip:127.0.0.1')).toMatchObject({
      paths: { 'GET /api/': 1 },
      policies: { '/api/': 1 },
      lastAddress: '127.0.0.1',
    })
  })
})
