import { expect, it } from 'vitest'
import { checkNames } from './check-names.ts'

it('takes the names there are, and none besides', () => {
  expect(() => checkNames({ rate: 1, name: undefined }, ['rate', 'name'], 'limiter')).not.toThrow()
  expect(() => checkNames({ raet: 5 }, ['rate', 'name'], 'limiter')).toThrow(
    'limiter.raet: expected one of rate, name, received 5',
  )
  for (const none of [undefined, null, 'rate', 5, []])
    expect(() => checkNames(none, ['rate'], 'limiter')).toThrow(/^limiter: expected an object, received/)
})

it('does not show a text that may be a secret under a misspelt name', () => {
  expect(() => checkNames({ pasword: 's3cr3t@:/?#' }, ['password'], 'redis')).toThrow(
    'redis.pasword: expected one of password, received "(a text)"',
  )
})
