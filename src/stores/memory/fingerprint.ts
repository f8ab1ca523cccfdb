// A key's 64-bit fingerprint: HalfSipHash-1-3 (Aumasson and Bernstein) with a secret drawn when the process starts.
// Promise: nobody outside can construct two keys of one fingerprint, or keys that crowd one place of the table; any string
// is a key (NUL, lone surrogates, one megabyte), and different strings are different input. Next: slots.ts.

const secret = new Int32Array(2)
globalThis.crypto.getRandomValues(secret)

/** Strings remembered by their place; a keep-alive connection's address is the same string object each time. */
const REMEMBERED = 256
/** Longer strings are not remembered, so that the memory holds no megabytes. */
const REMEMBERED_LENGTH = 64

/** Computes fingerprints, leaving the two halves in fields: the hot path returns no object. */
export class Fingerprint {
  low = 0
  high = 0
  readonly #keys: string[] = new Array<string>(REMEMBERED).fill('')
  readonly #halves = new Int32Array(REMEMBERED * 2)

  /** Sets `low` and `high`; never both 0, which marks an empty place. */
  of(key: string): void {
    const length = key.length
    if (length === 0 || length > REMEMBERED_LENGTH) {
      this.#hash(key, length)
      return
    }
    const place = (key.charCodeAt(length - 1) * 31 + key.charCodeAt(length >> 1) * 7 + length) & (REMEMBERED - 1)
    if (this.#keys[place] === key) {
      this.low = this.#halves[place * 2] as number
      this.high = this.#halves[place * 2 + 1] as number
      return
    }
    this.#hash(key, length)
    this.#keys[place] = key
    this.#halves[place * 2] = this.low
    this.#halves[place * 2 + 1] = this.high
  }

  #hash(key: string, length: number): void {
    // Four 8-bit characters a word. A string with wider ones starts anew, two a word, under another constant.
    if (!this.#mix(key, length, 4, 0xee)) this.#mix(key, length, 2, 0xe1)
    if ((this.low | this.high) === 0) this.low = 1
  }

  #mix(key: string, length: number, perWord: 2 | 4, domain: number): boolean {
    const k0 = secret[0] as number
    const k1 = secret[1] as number
    let v0 = k0
    let v1 = k1 ^ domain
    let v2 = 0x6c796765 ^ k0
    let v3 = 0x74656462 ^ k1
    const whole = length - (length % perWord)
    let i = 0
    for (;;) {
      let word: number
      if (i < whole) {
        if (perWord === 4) {
          const a = key.charCodeAt(i)
          const b = key.charCodeAt(i + 1)
          const c = key.charCodeAt(i + 2)
          const d = key.charCodeAt(i + 3)
          if ((a | b | c | d) > 0xff) return false
          word = a | (b << 8) | (c << 16) | (d << 24)
        } else {
          word = key.charCodeAt(i) | (key.charCodeAt(i + 1) << 16)
        }
        i += perWord
      } else if (i < length) {
        // At most three characters of 8 bits or one of 16 are left; the length follows as a word of its own.
        word = 0
        for (let shift = 0; i < length; i++, shift += 8) {
          const char = key.charCodeAt(i)
          if (perWord === 4 && char > 0xff) return false
          word |= char << shift
        }
      } else {
        if (i > length) break
        word = length
        i = length + 1
      }
      v3 ^= word
      v0 = (v0 + v1) | 0
      v1 = (v1 << 5) | (v1 >>> 27)
      v1 ^= v0
      v0 = (v0 << 16) | (v0 >>> 16)
      v2 = (v2 + v3) | 0
      v3 = (v3 << 8) | (v3 >>> 24)
      v3 ^= v2
      v0 = (v0 + v3) | 0
      v3 = (v3 << 7) | (v3 >>> 25)
      v3 ^= v0
      v2 = (v2 + v1) | 0
      v1 = (v1 << 13) | (v1 >>> 19)
      v1 ^= v2
      v2 = (v2 << 16) | (v2 >>> 16)
      v0 ^= word
    }
    v2 ^= domain
    for (let round = 0; round < 6; round++) {
      if (round === 3) {
        this.low = v1 ^ v3
        v1 ^= 0xdd
      }
      v0 = (v0 + v1) | 0
      v1 = (v1 << 5) | (v1 >>> 27)
      v1 ^= v0
      v0 = (v0 << 16) | (v0 >>> 16)
      v2 = (v2 + v3) | 0
      v3 = (v3 << 8) | (v3 >>> 24)
      v3 ^= v2
      v0 = (v0 + v3) | 0
      v3 = (v3 << 7) | (v3 >>> 25)
      v3 ^= v0
      v2 = (v2 + v1) | 0
      v1 = (v1 << 13) | (v1 >>> 19)
      v1 ^= v2
      v2 = (v2 << 16) | (v2 >>> 16)
    }
    this.high = v1 ^ v3
    return true
  }
}
