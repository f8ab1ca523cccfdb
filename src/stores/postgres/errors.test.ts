import { describe, expect, it } from 'vitest'
import type { StoreError } from '../../core/errors.ts'
import { isNotExecuted, storeError } from './errors.ts'

const withCode = (code: string, message = 'm'): Error => Object.assign(new Error(message), { code })
const of = (error: unknown): StoreError => storeError(error, 'postgres', 'limits.counters')

describe('an error of the server', () => {
  it.each([
    ['40001', 'not_executed'],
    ['40P01', 'not_executed'],
    ['40002', 'not_executed'],
    ['25006', 'wrong_node'],
    ['57P03', 'wrong_node'],
    ['53300', 'unavailable'],
    ['53100', 'unavailable'],
    ['53200', 'unavailable'],
    ['55P03', 'unavailable'],
    ['57014', 'unavailable'],
    ['57P01', 'unavailable'],
    ['57P05', 'unavailable'],
    ['25P02', 'unavailable'],
    ['25P03', 'unavailable'],
    ['25P04', 'unavailable'],
    ['08006', 'ambiguous'],
    ['08003', 'ambiguous'],
    ['40003', 'ambiguous'],
    ['57P02', 'ambiguous'],
    ['28P01', 'misconfigured'],
    ['28000', 'misconfigured'],
    ['3D000', 'misconfigured'],
    ['42501', 'misconfigured'],
    ['42601', 'misconfigured'],
    ['26000', 'misconfigured'],
    ['42P05', 'misconfigured'],
    ['XX000', 'unavailable'],
  ])('%s is %s', (code, kind) => {
    expect(of(withCode(code)).kind).toBe(kind)
    expect(isNotExecuted(withCode(code))).toBe(kind === 'not_executed')
  })

  it.each(['42P01', '42883', '3F000'])('%s says to set up the table', (code) => {
    const error = of(withCode(code))
    expect(error.code).toBe('ERR_RATELIMIT_STORE_SETUP')
    expect(error.message).toMatch(/limits\.counters: call setup\(\)/)
  })
})

describe('an error of a driver', () => {
  it.each([
    ['ECONNREFUSED', 'unavailable'],
    ['ENOTFOUND', 'unavailable'],
    ['CONNECT_TIMEOUT', 'unavailable'],
    ['CONNECTION_ENDED', 'unavailable'],
    ['ECONNRESET', 'ambiguous'],
    ['EPIPE', 'ambiguous'],
    ['CONNECTION_CLOSED', 'ambiguous'],
    ['CONNECTION_DESTROYED', 'ambiguous'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'misconfigured'],
  ])('%s is %s', (code, kind) => {
    expect(of(withCode(code)).kind).toBe(kind)
  })

  it.each([
    ['Connection terminated unexpectedly', 'ambiguous'],
    ['Query read timeout', 'ambiguous'],
    ['timeout exceeded when trying to connect', 'unavailable'],
    ['Connection terminated due to connection timeout', 'unavailable'],
    ['Cannot use a pool after calling end on the pool', 'unavailable'],
    ['The server does not support SSL connections', 'misconfigured'],
    ['SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string', 'misconfigured'],
  ])('"%s" is %s', (message, kind) => {
    expect(of(new Error(message)).kind).toBe(kind)
  })

  it('of several addresses is that of the first', () => {
    expect(of(new AggregateError([withCode('ECONNREFUSED'), withCode('EHOSTUNREACH')])).message).toMatch(/refused/)
  })
})

it('before the statement has left: what would be ambiguous has not happened', () => {
  const unsent = (error: unknown): StoreError => storeError(error, 'postgres', 'limits.counters', false)
  for (const error of [withCode('ECONNRESET'), withCode('08006'), new Error('Connection terminated unexpectedly'), 5])
    expect(unsent(error).kind).toBe('unavailable')
  expect(unsent(withCode('ECONNRESET', 'read ECONNRESET')).message).toMatch(/lost before anything was sent: read ECONNRESET/)
  expect(unsent(withCode('28P01')).kind).toBe('misconfigured')
  expect(unsent(withCode('57P03')).kind).toBe('wrong_node')
})

it('keeps of the cause what is no secret', () => {
  const client = { password: 's3cr3t' }
  const cause = of(Object.assign(withCode('57P01', 'terminating'), { client, parameters: ['s3cr3t'] })).cause as Error
  expect([cause.message, (cause as Error & { code: string }).code]).toEqual(['terminating', '57P01'])
  expect(Object.values(cause)).toEqual(['57P01'])
  expect(of(5).message).toMatch(/may have been charged/)
})
