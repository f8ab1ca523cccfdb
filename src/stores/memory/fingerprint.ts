// A key's 64-bit fingerprint: HalfSipHash-1-3 (Aumasson and Bernstein) with a secret drawn when the process starts.
// Promise: nobody outside can construct two keys of one fingerprint, or keys that crowd one place of the table; any string
// is a key (NUL, lone surrogates, one megabyte), and different strings are different input. Next: slots.ts.

// It differs from the published function where that hides its state from who sees the output: both halves are taken after the same
// three final rounds (v1 ^ v3 and v0 ^ v2), not three rounds apart. No fingerprint ever leaves the process, and 64 of the
// 128 bits of an unknown state are as hard to steer as before: a collision must meet the same 64 conditions.

const secret = new Int32Array(2)
globalThis.crypto.getRandomValues(secret)

/** Keys that come again and again are remembered with their fingerprints, these many by what they look like: a power of two. */
const REMEMBERED = 256
/** Longer keys are not, so that the memory holds no megabytes. */
const REMEMBERED_LENGTH = 64

/** Computes fingerprints, leaving the two halves in fields: the hot path returns no object. */
export class Fingerprint {
  low = 0
  high = 0

  /** What the remembered key of each place looks like; 0 where none is. */
  readonly #looks = new Int32Array(REMEMBERED)
  readonly #keys: string[] = new Array<string>(REMEMBERED).fill('')
  /** The two halves of the last key of each place, remembered or not. */
  readonly #halves = new Int32Array(REMEMBERED * 2)

  /** Sets `low` and `high`; never both 0, which marks an empty place. */
  of(key: string): void {
    const length = key.length
    if (length === 0 || length > REMEMBERED_LENGTH) {
      this.#hash(key, length)
      return
    }
    // Two characters and the length choose; whether it is the same key is compared in full.
    const looks = (length << 16) + (key.charCodeAt(length >> 1) << 7) + key.charCodeAt(length - 1)
    const place = (looks ^ (looks >> 7)) & (REMEMBERED - 1)
    if (this.#looks[place] === looks && this.#keys[place] === key) {
      this.low = this.#halves[place * 2] as number
      this.high = this.#halves[place * 2 + 1] as number
    } else {
      this.#hash(key, length)
      this.#note(key, looks, place)
    }
  }

  /** A key is remembered when it comes a second time with no other at its place between: who comes but once leaves two numbers. */
  #note(key: string, looks: number, place: number): void {
    const halves = this.#halves
    const at = place * 2
    if (halves[at] === this.low && halves[at + 1] === this.high) {
      this.#looks[place] = looks
      this.#keys[place] = key
    } else {
      this.#looks[place] = 0
      halves[at] = this.low
      halves[at + 1] = this.high
    }
  }

  #hash(key: string, length: number): void {
    const end = length & ~3
    const k0 = secret[0] as number
    const k1 = secret[1] as number
    let v0 = k0
    let v1 = k1 ^ 0xee
    let v2 = 0x6c796765 ^ k0
    let v3 = 0x74656462 ^ k1
    let seen = 0
    let i = 0
    // Four 8-bit characters a word. That they are such is looked at once, at the end: nearly all keys are.
    for (; i < end; i += 4) {
      const a = key.charCodeAt(i)
      const b = key.charCodeAt(i + 1)
      const c = key.charCodeAt(i + 2)
      const d = key.charCodeAt(i + 3)
      seen |= a | b | c | d
      const word = a | (b << 8) | (c << 16) | (d << 24)
      v3 ^= word
      v0 = (v0 + v1) | 0
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
      v0 = (v0 << 16) | (v0 >>> 16)
      v2 = (v2 + v3) | 0
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
      v0 = (v0 + v3) | 0
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
      v2 = (v2 + v1) | 0
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
      v2 = (v2 << 16) | (v2 >>> 16)
      v0 ^= word
    }
    // At most three characters are left; with them, as published, the length.
    let last = length << 24
    for (let shift = 0; i < length; i++, shift += 8) {
      const char = key.charCodeAt(i)
      seen |= char
      last |= char << shift
    }
    if (seen > 0xff) this.#wide(key, length)
    else this.#end(v0, v1, v2, v3, last)
  }

  /** A string with wider characters: two a word, under another constant. */
  #wide(key: string, length: number): void {
    const k0 = secret[0] as number
    const k1 = secret[1] as number
    let v0 = k0
    let v1 = k1 ^ 0xe1
    let v2 = 0x6c796765 ^ k0
    let v3 = 0x74656462 ^ k1
    const end = length & ~1
    for (let i = 0; i < end; i += 2) {
      const word = key.charCodeAt(i) | (key.charCodeAt(i + 1) << 16)
      v3 ^= word
      v0 = (v0 + v1) | 0
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
      v0 = (v0 << 16) | (v0 >>> 16)
      v2 = (v2 + v3) | 0
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
      v0 = (v0 + v3) | 0
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
      v2 = (v2 + v1) | 0
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
      v2 = (v2 << 16) | (v2 >>> 16)
      v0 ^= word
    }
    this.#end(v0, v1, v2, v3, (length << 24) | (end < length ? key.charCodeAt(end) : 0))
  }

  /** The round of the last word, and the three final ones. */
  #end(v0: number, v1: number, v2: number, v3: number, last: number): void {
    v3 ^= last
    for (let round = 0; ; round++) {
      v0 = (v0 + v1) | 0
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
      v0 = (v0 << 16) | (v0 >>> 16)
      v2 = (v2 + v3) | 0
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
      v0 = (v0 + v3) | 0
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
      v2 = (v2 + v1) | 0
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
      v2 = (v2 << 16) | (v2 >>> 16)
      if (round === 3) break
      if (round === 0) {
        v0 ^= last
        v2 ^= 0xff
      }
    }
    this.low = v1 ^ v3
    this.high = v0 ^ v2
    if ((this.low | this.high) === 0) this.low = 1
  }
}
