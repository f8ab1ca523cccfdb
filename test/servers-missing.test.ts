// What a run of tests says where a server is missing, broken, or named by the environment: real runs of a small file, without the
// programs of this machine. Next: servers.ts.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { describeWithOwnServer, startRedis } from './servers.ts'

const TESTS = `
  import { expect, test } from ${JSON.stringify(resolve('node_modules/vitest/dist/index.js'))}
  import { describeWithServer } from ${JSON.stringify(resolve('test/servers.ts'))}
  describeWithServer('redis', 'R', (server) => test('is at ' + server.url, () => expect(server.urls).toEqual([server.url])))
  describeWithServer('redis', 'R again', (server) => test('is there', () => expect(server.kind).toBe('redis')))
  describeWithServer('redis-cluster', 'C', (server) => test('is there', () => expect(server.kind).toBe('redis-cluster')))
  describeWithServer('valkey', 'V', (server) => test('is there', () => expect(server.kind).toBe('valkey')))
`

const CONFIG = `export default { test: {
  include: ['*.test.ts'],
  pool: 'forks',
  globalSetup: ${JSON.stringify(resolve('test/global-setup.ts'))},
  reporters: ['verbose', ${JSON.stringify(resolve('scripts/ci-reporter.ts'))}],
} }`

describe('a run of tests without Redis', () => {
  let folder: string

  beforeAll(() => {
    folder = mkdtempSync(join(realpathSync(tmpdir()), 'smart-ratelimit-missing-'))
    writeFileSync(join(folder, 'some.test.ts'), TESTS)
    writeFileSync(join(folder, 'vitest.config.mjs'), CONFIG)
  })

  afterAll(() => rmSync(folder, { recursive: true }))

  async function run(variables: Readonly<Record<string, string>>): Promise<{ readonly code: unknown; readonly output: string }> {
    const kept = Object.entries(process.env).filter(([name]) => !/^(RATELIMIT_|VITEST|CI$|NODE_OPTIONS$)/.test(name))
    // No program is found there, apt-get neither.
    const env = { ...Object.fromEntries(kept), PATH: folder, NO_COLOR: '1', ...variables }
    const child = spawn(process.execPath, [resolve('node_modules/vitest/vitest.mjs'), 'run', '--root', folder], {
      cwd: folder,
      env,
    })
    const ended = once(child, 'exit')
    let output = ''
    child.stdout.on('data', (chunk) => (output += String(chunk)))
    child.stderr.on('data', (chunk) => (output += String(chunk)))
    const [code] = (await ended) as [unknown]
    return { code, output }
  }

  const lastLine = (output: string): string | undefined => output.trim().split('\n').at(-1)

  it('skips a test for each block, says why once for each server, and knows no Valkey', async () => {
    const { code, output } = await run({})
    expect(lastLine(output)).toBe('0 passed, 0 failed, 3 skipped')
    expect(code).toBe(0)
    expect(output.match(/^test servers: no redis: redis-server is not installed .*$/gm)).toHaveLength(1)
    expect(output.match(/^test servers: no redis-cluster: redis-server is not installed .*$/gm)).toHaveLength(1)
    expect(output).not.toContain('valkey')
  })

  it('fails in CI, where nothing may be missing', async () => {
    const { code, output } = await run({ CI: 'true' })
    expect(lastLine(output)).toBe('0 passed, 3 failed, 0 skipped')
    expect(code).toBe(1)
    expect(output).toContain('No redis: redis-server is not installed')
    expect(output).toContain('RATELIMIT_TEST_REDIS_URL may name one')
  })

  it('fails anywhere when the server that was named is not there', async () => {
    const { code, output } = await run({ RATELIMIT_TEST_REDIS_CLUSTER_URLS: 'redis://:secret@127.0.0.1:1' })
    expect(lastLine(output)).toBe('0 passed, 1 failed, 2 skipped')
    expect(code).toBe(1)
    expect(output).toContain('nothing listens at 127.0.0.1:1, which RATELIMIT_TEST_REDIS_CLUSTER_URLS names')
    expect(output).not.toContain('secret')
  })

  describeWithOwnServer('redis', 'with one named by the environment', () => {
    it('uses that', async () => {
      await using redis = await startRedis()
      const { code, output } = await run({ RATELIMIT_TEST_REDIS_URL: redis.url })
      expect(lastLine(output)).toBe('2 passed, 0 failed, 1 skipped')
      expect(code).toBe(0)
      expect(output).toContain(`is at ${redis.url}`)
    })
  })
})
