// Text → a short fingerprint that does not give the text away. Promise: distinct texts have distinct fingerprints for all that
// SHA-256 can promise in 128 bits, lone surrogates included; synchronous, and on every JavaScript runtime.
// Next: keys.ts, which fingerprints credentials and overlong keys.

import { hmac } from '@noble/hashes/hmac.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { ConfigError } from '../core/errors.ts'
import { Secret } from '../core/secret.ts'

/** Makes fingerprints: 22 characters of base64url, 128 bits. */
export type Hash = (text: string) => string

const BYTES = 16
const SHORTEST_SECRET = 16
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/**
 * Builds a fingerprint function: SHA-256 of the text's UTF-8 bytes, or HMAC-SHA-256 when there is a secret, cut to 128 bits.
 * Without a secret, whoever reads the store can test guesses; API keys and session ids are too random for that, short texts are not.
 * @param given at least 16 characters; processes that share counters must share it
 * @throws ConfigError for a shorter secret; the message does not show it
 */
export function buildHash(given?: string | Secret, option = 'secret'): Hash {
  const secret = given instanceof Secret ? given.reveal() : given
  if (secret === undefined) return (text) => base64url(sha256(bytesOf(text)))
  if (typeof secret !== 'string' || secret.length < SHORTEST_SECRET) {
    const received = typeof secret === 'string' ? `${secret.length} characters` : `a ${typeof secret}`
    throw new ConfigError(option, `a text of at least ${SHORTEST_SECRET} characters`, received)
  }
  // The padded key is hashed once, here; each text starts from a copy of that state.
  const keyed = hmac.create(sha256, bytesOf(secret))
  return (text) => base64url(keyed.clone().update(bytesOf(text)).digest())
}

/** The first 64 bits of a text's SHA-256, as 16 hexadecimal digits. */
export function shortHex(text: string): string {
  const digest = sha256(bytesOf(text))
  let hex = ''
  for (let at = 0; at < 8; at++) hex += (digest[at] as number).toString(16).padStart(2, '0')
  return hex
}

/** UTF-8, except that a lone surrogate keeps its own three bytes instead of becoming U+FFFD like every other one. */
function bytesOf(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length * 3)
  let length = 0
  for (let at = 0; at < text.length; at++) {
    let code = text.charCodeAt(at)
    if (code < 0x80) {
      bytes[length++] = code
      continue
    }
    if (code < 0x800) {
      bytes[length++] = 0xc0 | (code >> 6)
      bytes[length++] = 0x80 | (code & 0x3f)
      continue
    }
    const next = code >= 0xd800 && code < 0xdc00 ? text.charCodeAt(at + 1) : 0
    if (next >= 0xdc00 && next < 0xe000) {
      at++
      code = 0x10000 + ((code - 0xd800) << 10) + (next - 0xdc00)
      bytes[length++] = 0xf0 | (code >> 18)
      bytes[length++] = 0x80 | ((code >> 12) & 0x3f)
    } else {
      bytes[length++] = 0xe0 | (code >> 12)
    }
    bytes[length++] = 0x80 | ((code >> 6) & 0x3f)
    bytes[length++] = 0x80 | (code & 0x3f)
  }
  return bytes.subarray(0, length)
}

function base64url(digest: Uint8Array): string {
  let text = ''
  for (let at = 0; at < BYTES; at += 3) {
    const bits =
      ((digest[at] as number) << 16) | (at + 1 < BYTES ? ((digest[at + 1] as number) << 8) | (digest[at + 2] as number) : 0)
    text += ALPHABET.charAt(bits >> 18) + ALPHABET.charAt((bits >> 12) & 63)
    if (at + 1 < BYTES) text += ALPHABET.charAt((bits >> 6) & 63) + ALPHABET.charAt(bits & 63)
  }
  return text
}
