import { InvalidArgumentError } from 'commander'
import { expect, test } from 'vitest'
import { durationOf, durationText, waitText } from './duration.ts'

test.each([
  ['500ms', 500],
  ['30s', 30_000],
  ['15m', 900_000],
  ['1h', 3_600_000],
  ['7d', 604_800_000],
  ['2w', 1_209_600_000],
  ['15 minutes', 900_000],
  [' 1 day ', 86_400_000],
])('%j is %d ms', (text, ms) => {
  expect(durationOf(text)).toBe(ms)
})

test.each([
  '',
  '15',
  'm',
  'h',
  'day',
  '1.5h',
  '-1h',
  '1e3s',
  '0s',
  '1month',
  '1year',
  '11y',
  '520w 5m',
  '1h, 5m',
  '5/15m',
  '999999w',
])('%j is no duration', (text) => {
  expect(() => durationOf(text)).toThrow(InvalidArgumentError)
})

test.each([
  [0, '0 ms', '0 ms'],
  [412.2, '412.2 ms', '413 ms'],
  [1000, '1 s', '1 s'],
  [1001, '1 s', '2 s'],
  [599_999, '9 min 59 s', '10 min'],
  [90_061_000, '1 d 1 h', '1 d 1 h'],
  [Infinity, 'd', 'never'],
])('%d ms is %s, and %s to wait', (ms, text, wait) => {
  if (Number.isFinite(ms)) expect(durationText(ms)).toBe(text)
  expect(waitText(ms)).toBe(wait)
})
