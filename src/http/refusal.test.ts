import { describe, expect, it } from 'vitest'
import { manualClock } from '../core/clock.ts'
import { Decision } from '../core/decision.ts'
import { ConfigError } from '../core/errors.ts'
import { type RateInput, buildLimitSet } from '../core/limit-set.ts'
import { createLimiter } from '../limiter/create-limiter.ts'
import { refusedUnasked } from '../limiter/headline.ts'
import { type Refusal, checkRefusalOptions, refusal } from './refusal.ts'

const NOW = 1_767_225_600_000
const JSON_TYPE = 'application/problem+json'
const TEXT_TYPE = 'text/plain; charset=utf-8'

function refused(rate: RateInput = '1/m', cost = 1, before = 1): Decision {
  const limiter = createLimiter({ rate, algorithm: 'fixed_window', clock: manualClock(NOW) })
  for (let i = 0; i < before; i++) limiter.check('s3cr3t-client')
  const decision = limiter.check('s3cr3t-client', { cost })
  expect(decision.allowed).toBe(false)
  return decision
}

const closed = (retryMs?: number): Decision =>
  new Decision(buildLimitSet('api', '1/m', {}), 'degraded', 'closed', undefined, false, 0, 0, 0, retryMs, 1, NOW, undefined)

const parsed = (answer: Refusal): Record<string, unknown> => JSON.parse(answer.body) as Record<string, unknown>

describe('the answer to a refused request', () => {
  it('is plain text with the time to wait', () => {
    expect(refusal(refused(), undefined)).toEqual({
      status: 429,
      contentType: TEXT_TYPE,
      body: 'Rate limit exceeded. Try again in 60 seconds.',
      sentence: 'Rate limit exceeded. Try again in 60 seconds.',
      headers: [
        ['Retry-After', '60'],
        ['Cache-Control', 'no-store'],
      ],
    })
    expect(refusal(refused('1/s'), undefined).body).toBe('Rate limit exceeded. Try again in 1 second.')
  })

  it('is a problem document for who asks for JSON', () => {
    const answer = refusal(refused(), 'application/json')
    expect(answer).toMatchObject({ status: 429, contentType: JSON_TYPE })
    expect(parsed(answer)).toEqual({
      type: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
      title: 'Quota Exceeded',
      status: 429,
      detail: 'Rate limit exceeded. Try again in 60 seconds.',
      'violated-policies': ['1-per-m'],
    })
  })

  it('names the limits that had no room, and no others', () => {
    const rate = [
      { rate: '2/s', name: 'burst' },
      { rate: '1/m', name: 'minute' },
      { rate: '100/h', name: 'hour' },
    ]
    const violated = (decision: Decision): unknown => parsed(refusal(decision, JSON_TYPE))['violated-policies']
    expect(violated(refused(rate))).toEqual(['minute'])
    expect(violated(refused(rate, 2, 1))).toEqual(['minute'])
    expect(
      violated(
        refused(
          [
            { rate: '0/s', name: 'nothing' },
            { rate: '5/m', name: 'some' },
          ],
          1,
          0,
        ),
      ),
    ).toEqual(['nothing'])
    const bucket = { rate: '0/s', name: 'nothing', algorithm: 'token_bucket' as const, algorithmConfig: { bucketSize: 5 } }
    expect(violated(refused([bucket, { rate: '5/m', name: 'some' }], 1, 0))).toEqual(['nothing'])
  })

  it('of a cost that is never granted has no Retry-After', () => {
    const answer = refusal(
      refused(
        [
          { rate: '5/m', name: 'small' },
          { rate: '50/h', name: 'large' },
        ],
        6,
        0,
      ),
      JSON_TYPE,
    )
    expect(answer.headers).toEqual([['Cache-Control', 'no-store']])
    expect(parsed(answer)).toMatchObject({
      detail: 'Rate limit exceeded. This request costs more than the limit ever allows.',
      'violated-policies': ['small'],
    })
  })

  it('of a banned client says when the ban ends', () => {
    const limiter = createLimiter({ rate: '10/s', clock: manualClock(NOW) })
    limiter.ban('client', 3_600_000)
    expect(refusal(limiter.check('client'), undefined)).toMatchObject({
      status: 429,
      body: 'Rate limit exceeded. Try again in 3600 seconds.',
    })
  })

  it.each([
    ['list', 'Requests from this client are not accepted.'],
    ['key', 'Requests that do not say whom they are from are not accepted.'],
  ] as const)('for reason %s is a 429 that blames no quota', (reason, detail) => {
    const answer = refusal(refusedUnasked(buildLimitSet('api', '1/m', {}), reason, false, 1, NOW), JSON_TYPE)
    expect(parsed(answer)).toEqual({ type: 'about:blank', title: 'Too Many Requests', status: 429, detail })
  })

  it('is a 503 where no store answers', () => {
    expect(refusal(closed(), undefined)).toEqual({
      status: 503,
      contentType: TEXT_TYPE,
      body: 'The service is short of capacity. Try again later.',
      sentence: 'The service is short of capacity. Try again later.',
      headers: [['Cache-Control', 'no-store']],
    })
    expect(parsed(refusal(closed(5000), JSON_TYPE))).toEqual({
      type: 'https://iana.org/assignments/http-problem-types#temporary-reduced-capacity',
      title: 'Temporary Reduced Capacity',
      status: 503,
      detail: 'The service is short of capacity. Try again in 5 seconds.',
    })
  })

  it('says what the app wants it to say', () => {
    const message = 'Slow down, "please".\n'
    expect(refusal(refused(), undefined, { message }).body).toBe(message)
    expect(parsed(refusal(refused(), JSON_TYPE, { message }))['detail']).toBe(message)
  })

  it('never says who the client is', () => {
    for (const accept of [undefined, JSON_TYPE]) expect(JSON.stringify(refusal(refused(), accept))).not.toContain('s3cr3t')
  })

  it('has options that are checked', () => {
    expect(() => checkRefusalOptions({ mesage: 'x' } as object, 'refusal')).toThrow('refusal.mesage')
    expect(() => checkRefusalOptions({ message: 7 } as object, 'refusal')).toThrow(ConfigError)
    expect(() => checkRefusalOptions({ message: 'x' }, 'refusal')).not.toThrow()
  })
})

describe('the kind of body', () => {
  it.each([
    'application/json',
    'application/problem+json',
    'APPLICATION/JSON; charset=utf-8',
    'application/*',
    'application/json, text/plain, */*',
    'application/json;q=0.5',
    'text/html, application/json;q=0.9',
    'text/plain;q=0.5, application/json;q=0.5',
    'application/json;q=abc',
    ' application/json ;q=0.3 , text/*; q=0.2',
  ])('is JSON for Accept: %s', (accept) => {
    expect(refusal(refused(), accept).contentType).toBe(JSON_TYPE)
  })

  it.each([
    undefined,
    '',
    '*/*',
    'text/plain',
    'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
    'application/json;q=0',
    'application/json;q=0, */*',
    'application/problem+json;q=0, application/json',
    'text/plain, application/json;q=0.9',
    'application/json;q=0.4, */*;q=0.5',
    'application/jsonp',
    'image/png',
    'json',
    ',;,=;q=,',
    `${'text/html,'.repeat(100)}application/json`,
  ])('is plain text for Accept: %s', (accept) => {
    expect(refusal(refused(), accept).contentType).toBe(TEXT_TYPE)
  })
})
