// Run by scripts/installed.ts: CommonJS may require() the library, gets the very objects import() gets, and no warning.
// Next: command.mjs.

const assert = require('node:assert/strict')
const { createLimiter, RateLimitError } = require('smart-ratelimit')
const { rateLimit } = require('smart-ratelimit/express')

const limiter = createLimiter({ rate: '1/h' })
assert.equal(limiter.check('a').allowed, true)
assert.equal(limiter.check('a').allowed, false)
assert.equal(typeof rateLimit, 'function')

void import('smart-ratelimit').then((module) => {
  assert.equal(module.RateLimitError, RateLimitError)
  console.log(`required ok on ${process.version}`)
})
