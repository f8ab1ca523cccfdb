import { createHash, createHmac } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ConfigError } from '../core/errors.ts'
import { buildHash, shortHex } from './hash-secret.ts'

const SECRET = 'a secret of the deployment'

describe('a fingerprint', () => {
  it('is the first 128 bits of the SHA-256 of the UTF-8 text, in base64url', () => {
    const hash = buildHash()
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(hash(text)).toBe(createHash('sha256').update(text).digest().subarray(0, 16).toString('base64url'))
      }),
    )
  })

  it('is an HMAC where there is a secret', () => {
    const hash = buildHash(SECRET)
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(hash(text)).toBe(createHmac('sha256', SECRET).update(text).digest().subarray(0, 16).toString('base64url'))
      }),
    )
  })

  it('tells lone surrogates apart, which UTF-8 does not', () => {
    const texts = ['\ud800', '\ud801', '\udc00', '\ufffd', '\ud800\ud800', '\udc00\ud800', '\ud800\udc00', '\ud800x', '']
    expect(new Set(texts.map(buildHash())).size).toBe(texts.length)
  })

  it('is the same only for the same text, whatever surrogates are in it', () => {
    const text = fc.string({
      unit: fc.constantFrom('\ud800', '\ud801', '\udbff', '\udc00', '\udfff', '\ue000', '\ue001', 'a', '\x7f', '\u07ff'),
      maxLength: 4,
    })
    const hash = buildHash()
    const seen = new Map<string, string>()
    fc.assert(
      fc.property(text, (one) => {
        const before = seen.get(hash(one)) ?? one
        seen.set(hash(one), one)
        expect(before).toBe(one)
      }),
      { numRuns: 5000 },
    )
  })

  it('differs between secrets and from no secret', () => {
    expect(new Set([buildHash(), buildHash(SECRET), buildHash(`${SECRET}!`)].map((hash) => hash('key'))).size).toBe(3)
  })

  it('takes no secret that can be guessed, and does not show it', () => {
    const build = (secret: unknown) => (): unknown => buildHash(secret as string, 'secret')
    expect(build('s3cr3t@:/?#')).toThrow(ConfigError)
    expect(build('s3cr3t@:/?#')).toThrow('secret: expected a text of at least 16 characters, received "11 characters"')
    expect(build(12345678901234)).toThrow('received "a number"')
    expect(build(null)).toThrow(ConfigError)
  })
})

it('a short fingerprint is 16 hexadecimal digits of the same digest', () => {
  expect(shortHex('agent')).toBe(createHash('sha256').update('agent').digest('hex').slice(0, 16))
})
