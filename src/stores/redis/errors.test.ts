import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { NotConnected } from './connection.ts'
import { isElsewhere, scriptError, storeError } from './errors.ts'

class ReplyError extends Error {}

describe('what an error of Redis means', () => {
  it.each([
    ['NOSCRIPT No matching script. Please use EVAL.', 'not_executed'],
    ['MOVED 3999 127.0.0.1:6381', 'wrong_node'],
    ['READONLY You can’t write against a read only replica.', 'wrong_node'],
    ['MASTERDOWN Link with MASTER is down', 'wrong_node'],
    ['LOADING Redis is loading the dataset in memory', 'unavailable'],
    ['BUSY Redis is busy running a script.', 'unavailable'],
    ['CLUSTERDOWN Hash slot not served', 'unavailable'],
    ['TRYAGAIN Multiple keys request during rehashing of slot', 'unavailable'],
    ['OOM command not allowed when used memory > ’maxmemory’.', 'no_room'],
    ['MISCONF Redis is configured to save RDB snapshots', 'unavailable'],
    ['NOREPLICAS Not enough good replicas to write.', 'unavailable'],
    ['NOAUTH Authentication required.', 'misconfigured'],
    ['WRONGPASS invalid username-password pair', 'misconfigured'],
    ['NOPERM this user has no permissions', 'misconfigured'],
    ['CROSSSLOT Keys in request don’t hash to the same slot', 'misconfigured'],
    ['ERR unknown command', 'misconfigured'],
  ])('%s', (message, kind) => {
    expect(storeError('redis', new ReplyError(message))).toMatchObject({ kind, store: 'redis', code: 'ERR_RATELIMIT_STORE' })
    expect(scriptError('redis', `-${message}`)).toMatchObject({ kind })
  })

  it.each(['Connection is closed.', 'Socket closed unexpectedly', 'Command timed out', 'read ECONNRESET', 'anything else'])(
    'calls what may have been charged ambiguous: %s',
    (message) => {
      expect(storeError('redis', new Error(message)).kind).toBe('ambiguous')
    },
  )

  it.each([
    ['connect ECONNREFUSED 127.0.0.1:1', 'check host and port'],
    ['getaddrinfo ENOTFOUND nowhere', 'check host'],
    ['self-signed certificate', 'check tls'],
    ['The client is offline', 'connection is down'],
  ])('knows what was never sent, and says what to do: %s', (message, advice) => {
    for (const error of [new Error(message), new NotConnected(message, { cause: new Error(message) })]) {
      expect(storeError('redis', error)).toMatchObject({ kind: 'unavailable' })
      expect(storeError('redis', error).message).toContain(advice)
    }
  })

  it('says what is wrong with the set-up also while connecting', () => {
    const cause = new ReplyError('WRONGPASS invalid username-password pair')
    expect(storeError('redis', new NotConnected(cause.message, { cause })).kind).toBe('misconfigured')
  })

  it('leaves out the command that clients hang on errors, and what servers quote of it', () => {
    const told = "ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'me' 's3cr3t@:/?#'"
    const error = Object.assign(new ReplyError(told), { command: { name: 'auth', args: ['s3cr3t@:/?#'] } })
    expect(inspect(storeError('redis', error), { depth: 9 })).not.toContain('s3cr3t')
  })

  it('tells a key that is elsewhere from other problems', () => {
    expect(isElsewhere('ERR Script attempted to access a non local key in a cluster node script: x')).toBe(true)
    expect(isElsewhere('MOVED 1 a:1')).toBe(true)
    expect(isElsewhere('OOM command not allowed')).toBe(false)
  })
})
