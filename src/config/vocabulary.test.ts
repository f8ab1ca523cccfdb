import { describe, expect, it } from 'vitest'
import { failoverSettings } from '../stores/failover/options.ts'
import { connectionSettings as mysqlConnection } from '../stores/mysql/connection-options.ts'
import { connectionSettings as postgresConnection } from '../stores/postgres/connection-options.ts'
import { checkAddress } from '../stores/redis/address.ts'
import { REMOTE_OPTIONS, remoteSettings } from '../stores/remote-options.ts'
import { GATE_OPTIONS } from '../http/gate.ts'
import { DATABASE_SETTINGS } from './check-values.ts'
import type { Fields } from './field.ts'
import { DATABASE, FAILOVER, MIDDLEWARE, REDIS_ADDRESS, SHARED, VOCABULARY } from './vocabulary.ts'

/** The defaults that are plain values. */
function defaultsOf(fields: Fields): Record<string, string> {
  return Object.fromEntries(
    Object.entries(fields).flatMap(([name, field]) =>
      field.kind === 'value' && /^(\d[\d.]*|[\w:]+)$/.test(field.fallback) && !/[a-z][A-Z]/.test(field.fallback)
        ? [[name, field.fallback]]
        : [],
    ),
  )
}

/** These of the values, as text; undefined as what says the same. */
function only(names: Record<string, string>, values: object, absent: string): Record<string, string> {
  const found = values as Record<string, string | number | boolean | undefined>
  return Object.fromEntries(Object.keys(names).map((name) => [name, String(found[name] ?? absent)]))
}

describe('the defaults that the vocabulary tells', () => {
  it.each([
    ['all stores', SHARED, remoteSettings({}, 'x', [], 'x'), ''],
    ['Redis', REDIS_ADDRESS, checkAddress({}, 'x'), 'false'],
    ['failover', FAILOVER, failoverSettings({}, 'x'), ''],
    ['the breaker', FAILOVER.circuitBreaker.fields, failoverSettings({}, 'x').breaker, ''],
    ['PostgreSQL', { ssl: DATABASE.ssl, maxConnections: DATABASE.maxConnections }, postgresConnection({ host: 'h' }, 'x'), ''],
    ['MySQL', { ssl: DATABASE.ssl, maxConnections: DATABASE.maxConnections }, mysqlConnection({ host: 'h' }, 'x'), 'false'],
  ] as [string, Fields, object, string][])('are those of %s', (_, fields, values, absent) => {
    const defaults = defaultsOf(fields)
    expect(Object.keys(defaults).length).toBeGreaterThan(1)
    expect(only(defaults, values, absent)).toEqual(defaults)
  })
})

describe('the vocabulary', () => {
  it('has no setting of a database that none of them reads', () => {
    const read = Object.values(DATABASE_SETTINGS).flatMap(({ source, options }) => [
      ...Object.keys(source),
      ...Object.keys(options),
    ])
    expect(new Set([...read, 'url', 'table', ...Object.keys(SHARED)])).toEqual(new Set(Object.keys(DATABASE)))
  })

  it('has every option of what it configures that is no function and no client', () => {
    expect(Object.keys(SHARED).toSorted()).toEqual(REMOTE_OPTIONS.filter((name) => !['name', 'clock'].includes(name)).toSorted())
    for (const name of GATE_OPTIONS) {
      if (['rate', 'store', 'observers'].includes(name)) expect(MIDDLEWARE).not.toHaveProperty([name])
      else expect(MIDDLEWARE).toHaveProperty([name])
      if (!['store', 'observers'].includes(name)) expect(VOCABULARY.policies.fields).toHaveProperty([name])
    }
  })
})
