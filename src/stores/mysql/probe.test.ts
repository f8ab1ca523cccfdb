import { expect, it } from 'vitest'
import { StoreError } from '../../core/errors.ts'
import { supported } from './probe.ts'

it.each([
  ['8.0.36', 'mysql'],
  ['8.4.0-log', 'mysql'],
  ['9.3.0', 'mysql'],
  ['8.0.11-TiDB-v8.1.0', 'mysql'],
  ['10.5.0-MariaDB', 'mariadb'],
  ['10.11.6-MariaDB-0+deb12u1', 'mariadb'],
  ['5.5.5-10.6.12-MariaDB-log', 'mariadb'],
  ['11.4.2-MariaDB', 'mariadb'],
] as const)('%s is a %s that is new enough', (version, server) => {
  expect(supported(version, 'mysql')).toBe(server)
})

it.each(['5.7.44-log', '5.6.51', '10.4.33-MariaDB', '5.5.5-10.3.39-MariaDB', '5.5.68-MariaDB', 'nonsense', ''])(
  '%s is refused',
  (version) => {
    expect(() => supported(version, 'mysql')).toThrow(StoreError)
  },
)
