import fc from 'fast-check'
import { expect, it } from 'vitest'
import { ceilDiv, floorDiv } from './whole.ts'

const numerator = fc.oneof(
  fc.nat(1000),
  fc.maxSafeNat().map((n) => Math.floor(n / 2)),
)
const denominator = fc.oneof(fc.integer({ min: 1, max: 1000 }), fc.integer({ min: 1, max: 2 ** 52 }))

it('divides whole numbers exactly where the floating quotient rounds', () => {
  fc.assert(
    fc.property(numerator, denominator, (a, b) => {
      expect(floorDiv(a, b)).toBe(Number(BigInt(a) / BigInt(b)))
      expect(ceilDiv(a, b)).toBe(Number((BigInt(a) + BigInt(b) - 1n) / BigInt(b)))
    }),
    { numRuns: 2000 },
  )
})

it('divides exactly one below and one above a multiple', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 26 }), fc.integer({ min: 2, max: 2 ** 25 }), (q, b) => {
      const product = q * b
      expect([floorDiv(product, b), ceilDiv(product, b)]).toEqual([q, q])
      expect([floorDiv(product - 1, b), ceilDiv(product - 1, b)]).toEqual([q - 1, q])
      expect([floorDiv(product + 1, b), ceilDiv(product + 1, b)]).toEqual([q, q + 1])
    }),
    { numRuns: 1000 },
  )
})
