// One dashboard in every framework: mounted by the framework, or by its own base path; the page, its files, its data and its one POST.
// Next: dashboard.test.ts for what it answers, ../../src/monitor/dashboard/mount.ts.

import { request as send } from 'node:http'
import { createServer as createHttp2, connect as connectHttp2 } from 'node:http2'
import { once } from 'node:events'
import { isBuiltin } from 'node:module'
import type { AddressInfo } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { build } from 'esbuild'
import express from 'express'
import express4 from 'express4'
import fastify from 'fastify'
import { Hono } from 'hono'
import Koa from 'koa'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { embeddedPage } from '../../scripts/embed-page.ts'
import { createLimiter } from '../../src/index.ts'
import { type Dashboard, dashboard } from '../../src/monitor/dashboard/index.ts'
import { liveView } from '../../src/monitor/index.ts'
import { serve } from '../adapters/http.ts'

type Listener = Parameters<typeof serve>[0]

const view = liveView({ everywhere: false })
let dash: Dashboard
let natives: unknown[]

beforeEach(() => {
  natives = []
  dash = dashboard({ view, auth: (_, native) => natives.push(native) > 0, basePath: '/admin/limits' })
})

afterEach(() => dash.close())

/** Every app answers `elsewhere` where the dashboard is not. */
const apps: Readonly<Record<string, () => Listener | Promise<Listener>>> = {
  'node:http': () => (request, response) => dash(request, response, () => response.end('elsewhere')),
  'Express 5, mounted': () => {
    const app = express()
    app.use('/admin/limits', dash)
    app.use((_request, response) => void response.end('elsewhere'))
    return app
  },
  'Express 5, behind a router and a body parser': () => {
    const app = express()
    const router = express.Router()
    app.use(express.json(), express.urlencoded({ extended: false }))
    router.use('/limits', dash)
    app.use('/admin', router)
    app.use((_request, response) => void response.end('elsewhere'))
    return app
  },
  'Express 5, by its base path': () => {
    const app = express()
    app.use(dash)
    app.use((_request, response) => void response.end('elsewhere'))
    return app
  },
  'Express 4, mounted': () => {
    const app = (express4 as unknown as typeof express)()
    app.use('/admin/limits', dash)
    app.use((_request, response) => void response.end('elsewhere'))
    return app
  },
  Fastify: async () => {
    const app = fastify()
    for (const path of ['/admin/limits', '/admin/limits/*'])
      app.all(path, (request, reply) => {
        reply.hijack()
        dash(request.raw, reply.raw)
      })
    app.setNotFoundHandler((_request, reply) => reply.code(200).send('elsewhere'))
    await app.ready()
    return (request, response) => app.routing(request, response)
  },
  Koa: () => {
    const app = new Koa()
    app.use(async (context, next) => {
      if (!/^\/admin\/limits(\/|$)/.test(context.path)) return next()
      context.respond = false
      dash(context.req, context.res)
    })
    app.use((context) => {
      context.body = 'elsewhere'
    })
    return app.callback()
  },
  'Hono, and with it the fetch standard': () => {
    const app = new Hono()
    app.all('/admin/limits/*', (context) => dash(context.req.raw, context))
    app.all('*', (context) => context.text('elsewhere'))
    return getRequestListener(app.fetch)
  },
}

describe.each(Object.entries(apps))('in %s', (_, make) => {
  test('it is a page with its files, its data and its events', async () => {
    await using server = await serve(await make())
    for (const path of ['/admin/limits', '/admin/limits/', '/admin/limits?x=/y']) {
      const page = await server.get(path)
      expect([path, page.status, page.headers['content-type']]).toEqual([path, 200, 'text/html; charset=utf-8'])
      expect(page.headers['content-security-policy']).toContain("default-src 'none'")
      for (const [, file = ''] of page.body.matchAll(/(?:src|href)="([^"]+)"/g)) {
        const found = await server.get(new URL(file, `http://h${path}`).pathname, { 'accept-encoding': 'gzip' })
        expect([file, found.status, found.headers['content-encoding']]).toEqual([file, 200, 'gzip'])
      }
    }
    const snapshot = await server.get('/admin/limits/api/snapshot')
    expect(Object.keys(JSON.parse(snapshot.body) as object)).toContain('policies')
    const events = await firstEvent(server.port)
    expect(events).toMatch(/^retry: 2000\nevent: all\ndata: \{/)
    expect((await server.get('/admin/limits/nothing')).status).toBe(404)
    expect(natives.length).toBeGreaterThan(10)
    expect(natives.every((native) => typeof native === 'object' && native !== null)).toBe(true)
  })

  test('it leaves other paths to the app', async () => {
    await using server = await serve(await make())
    for (const path of ['/', '/admin', '/admin/limitsx', '/limits/', '/x/admin/limits/'])
      expect([path, (await server.get(path)).body]).toEqual([path, 'elsewhere'])
    expect(natives).toEqual([])
  })

  test('it lifts a ban by POST', async () => {
    await using server = await serve(await make())
    const limiter = createLimiter({ rate: '1/m', observers: [view] })
    limiter.ban('user:1', 60_000)
    const page = await server.get('/admin/limits/')
    const [, token = ''] = /name="token" content="([\w-]+)"/.exec(page.body) ?? []
    const { bans } = JSON.parse((await server.get('/admin/limits/api/snapshot')).body) as { bans: { rows: { id: string }[] } }
    const path = `/admin/limits/api/unban?id=${bans.rows[0]?.id}`
    const headers = { 'x-dashboard-token': token, origin: `http://127.0.0.1:${server.port}`, 'content-length': '0' }
    expect((await server.get(path, { ...headers, origin: 'http://evil.example' }, 'POST')).status).toBe(403)
    expect((await server.get(path, headers, 'POST')).status).toBe(204)
    expect(limiter.peek('user:1').reason).not.toBe('ban')
  })
})

test('without Node.js it works as well: it imports nothing of it', async () => {
  const { metafile, outputFiles } = await build({
    entryPoints: ['src/monitor/dashboard/index.ts'],
    bundle: true,
    write: false,
    metafile: true,
    format: 'esm',
    platform: 'neutral',
    mainFields: ['module', 'main'],
    plugins: [embeddedPage],
    logLevel: 'silent',
  })
  const imports = Object.values(metafile.inputs).flatMap((input) => input.imports)
  expect(imports.length).toBeGreaterThan(30)
  expect(imports.filter(({ path, external }) => external === true || isBuiltin(path))).toEqual([])
  expect(outputFiles[0]?.text).not.toMatch(/\b(?:require|import)\s*\(\s*["']node:/)
})

test('in HTTP/2 it is the same', async () => {
  const server = createHttp2((request, response) => dash(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const client = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  const stream = client.request({ ':path': '/admin/limits/api/snapshot' })
  let body = ''
  stream.on('data', (chunk: Buffer) => (body += chunk.toString()))
  const [headers] = (await once(stream, 'response')) as [Record<string, unknown>]
  await once(stream, 'end')
  expect(headers[':status']).toBe(200)
  expect(Object.keys(JSON.parse(body) as object)).toContain('bans')
  client.close()
  await new Promise((resolve) => server.close(resolve))
})

test('what auth throws goes to the framework, and without one it is a bare 500', async () => {
  const broken = dashboard({ view, auth: () => Promise.reject(new Error('s3cr3t@:/?#')) })
  await using alone = await serve((request, response) => broken(request, response))
  const reply = await alone.get('/dashboard/')
  expect([reply.status, reply.body]).toEqual([500, ''])
  const app = express()
  app.use('/dashboard', broken)
  app.use(
    ((error, _request, response, _next) => void response.status(503).end((error as Error).name)) as express.ErrorRequestHandler,
  )
  await using framed = await serve(app)
  expect(await framed.get('/dashboard/')).toMatchObject({ status: 503, body: 'Error' })
  broken.close()
})

test('targets and hosts that are none are refused, not thrown at', async () => {
  await using server = await serve((request, response) => dash(request, response))
  expect((await server.get('/admin/limits/', { host: 'a b' })).status).toBe(400)
  expect((await server.get('http://other.example/admin/limits/')).status).toBe(404)
  expect((await server.get('/admin/limits/', {}, 'TRACE')).status).toBe(405)
})

async function firstEvent(port: number): Promise<string> {
  const sent = send({ host: '127.0.0.1', port, path: '/admin/limits/api/events', agent: false }).end()
  const [response] = (await once(sent, 'response')) as [NodeJS.ReadableStream]
  const [chunk] = (await once(response, 'data')) as [Buffer]
  // The connection is dropped on purpose.
  response.on('error', () => {})
  sent.destroy()
  return chunk.toString()
}
