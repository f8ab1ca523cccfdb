// Run by scripts/installed.ts in a folder where the packed library and Express are installed, on every promised Node.
// Promise: limits, keys and headers work there over real HTTP. Next: required.cjs.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import express from 'express'
import { ALGORITHMS, ConfigError, createLimiter, manualClock, memoryStore } from 'smart-ratelimit'
import { fromSettings } from 'smart-ratelimit/config'
import { rateLimit } from 'smart-ratelimit/express'
import * as testing from 'smart-ratelimit/testing'

for (const algorithm of ALGORITHMS) {
  const clock = manualClock(1_700_000_000_000)
  const limiter = createLimiter({ rate: '5/m', algorithm, store: memoryStore({ clock }), clock })
  let granted = 0
  while (limiter.check('user:42').allowed) granted++
  assert.equal(granted, algorithm === 'gcra' ? 1 : 5, algorithm)
  const refused = limiter.check('user:42')
  assert.equal(refused.remaining, 0)
  clock.advance(refused.retryAfterMs - 1)
  assert.equal(limiter.check('user:42').allowed, false, `${algorithm}: one ms early`)
  clock.advance(1)
  assert.equal(limiter.check('user:42').allowed, true, `${algorithm}: in time`)
}

assert.throws(() => createLimiter({ rate: 'often' }), ConfigError)
assert.notEqual(Object.keys(testing).length, 0)

// Without settings, and without any driver, counters are in memory; a driver that is missing is told when it is first needed.
const { store, policy } = await fromSettings({ env: { RATELIMIT_ON_STORE_ERROR: 'deny' } })
assert.equal(store.name, 'memory')
assert.throws(() => policy('login'), ConfigError)
const redis = await fromSettings({ env: { RATELIMIT_REDIS_HOST: '127.0.0.1', RATELIMIT_DEADLINE_MS: '5000' } })
await assert.rejects(redis.store.ping(), /npm install ioredis/)
await redis.close()

const app = express()
app.get('/login', rateLimit({ key: 'ip', rate: '2/h' }), (_request, response) => response.send('welcome'))
const server = createServer(app).listen(0, '127.0.0.1')
await once(server, 'listening')
const url = `http://127.0.0.1:${server.address().port}/login`
const statuses = []
for (let i = 0; i < 3; i++) {
  const response = await fetch(url)
  await response.text()
  statuses.push(response.status)
  assert.equal(response.headers.get('x-ratelimit-limit'), '2')
  assert.equal(response.headers.has('retry-after'), response.status === 429)
}
server.closeAllConnections()
server.close()
assert.deepEqual(statuses, [200, 200, 429])

console.log(`module ok on ${process.version}`)
