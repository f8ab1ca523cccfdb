import { expect, it } from 'vitest'
import { clusterSlot } from './cluster-slot.ts'

it('finds the slots of the cluster specification', () => {
  expect(clusterSlot('123456789')).toBe(0x31_c3)
  expect(clusterSlot('foo')).toBe(12_182)
  expect(clusterSlot('')).toBe(0)
})

it('counts the first hash tag alone, if there is something in it', () => {
  expect(clusterSlot('{foo}.a')).toBe(clusterSlot('foo'))
  expect(clusterSlot('a{foo}{bar}')).toBe(clusterSlot('foo'))
  expect(clusterSlot('a{}{foo}')).not.toBe(clusterSlot('foo'))
  expect(clusterSlot('a{foo')).not.toBe(clusterSlot('foo'))
})
