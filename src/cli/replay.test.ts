import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, describe, expect, test } from 'vitest'
import { openLog } from './log-reader.ts'
import { replayText, sparkline } from './replay-report.ts'
import { type ReplayOptions, type ReplayResult, replay } from './replay.ts'

const folder = mkdtempSync(join(tmpdir(), 'replay-'))
afterAll(() => rmSync(folder, { recursive: true }))
let files = 0

function file(content: string | Buffer): string {
  const path = join(folder, `${++files}.log`)
  writeFileSync(path, content)
  return path
}

const common = (client: string, time: string, request = 'GET / HTTP/1.1', user = '-') =>
  `${client} - ${user} [15/Jan/2026:${time}] "${request}" 200 12`

async function run(content: string | Buffer, options: Partial<ReplayOptions> = {}): Promise<ReplayResult> {
  return replay(await openLog(file(content)), { rates: ['2/m'], algorithms: [], key: 'ip', format: 'auto', top: 10, ...options })
}

/** The command itself, as a process. */
function command(args: readonly string[], input = ''): Promise<{ code: number | null; out: string; err: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'main.ts'), ...args], {
      env: { ...process.env, NO_COLOR: '1' },
    })
    let out = ''
    let err = ''
    child.stdout.on('data', (data: Buffer) => (out += data.toString()))
    child.stderr.on('data', (data: Buffer) => (err += data.toString()))
    child.on('close', (code) => resolve({ code, out, err }))
    child.stdin.end(input)
  })
}

describe('a replay', () => {
  // By hand: a sliding window of 2 per minute, precision 1 s. At :00 and :10 granted; :20 and :50 refused. The request of :00
  // leaves at 60.999 s, so :61 is granted; then :10 has not left and :69 is refused. The other client is never refused.
  const log = [
    common('10.0.0.1', '10:00:00 +0000'),
    common('10.0.0.1', '10:00:10 +0000'),
    common('10.0.0.1', '10:00:20 +0000'),
    common('10.0.0.2', '10:00:30 +0000'),
    common('10.0.0.1', '10:00:50 +0000'),
    common('10.0.0.1', '10:01:01 +0000'),
    common('10.0.0.1', '10:01:09 +0000'),
  ].join('\n')

  test('refuses what the limit refuses at the log’s own times', async () => {
    const result = await run(log)
    expect(result).toMatchObject({ lines: 7, requests: 7, clients: 2, bad: 0, filtered: 0, outOfOrder: 0, spanMs: 69_000 })
    expect(result).toMatchObject({ from: '2026-01-15T10:00:00.000Z', to: '2026-01-15T10:01:09.000Z' })
    expect(result.proposals).toMatchObject([
      {
        rate: '2/m',
        algorithm: 'sliding_window',
        refused: 3,
        clientsRefused: 1,
        worstMinute: { at: '2026-01-15T10:00:00.000Z', refused: 2 },
        offenders: [{ client: 'ip:10.0.0.1'.slice(3), requests: 6, refused: 3, firstRefused: '2026-01-15T10:00:20.000Z' }],
      },
    ])
  })

  test('puts every request to every proposal: each rate with each algorithm', async () => {
    const result = await run(log, { rates: ['2/m', '4/m'], algorithms: ['fixed_window', 'sliding_window'] })
    // The fixed window of 10:01 is fresh: both its requests pass.
    expect(result.proposals.map(({ rate, algorithm, refused }) => [rate, algorithm, refused])).toEqual([
      ['2/m', 'fixed_window', 2],
      ['2/m', 'sliding_window', 3],
      ['4/m', 'fixed_window', 0],
      ['4/m', 'sliding_window', 1],
    ])
  })

  test('reads gzip by its content, whatever the name, and lines with CRLF', async () => {
    expect((await run(gzipSync(log.replaceAll('\n', '\r\n')))).proposals[0]?.refused).toBe(3)
  })

  test('reads time zones, and a log over a daylight-saving change has no jump', async () => {
    const result = await run(
      [common('a', '10:00:00 +0200'), common('a', '09:00:01 +0100'), common('a', '08:00:02 +0000')].join('\n'),
    )
    expect(result).toMatchObject({ spanMs: 2000, from: '2026-01-15T08:00:00.000Z', outOfOrder: 0 })
    expect(result.proposals[0]?.refused).toBe(1)
  })

  test('lets time stand still for lines out of order, and says by how much', async () => {
    const result = await run(
      [common('a', '10:00:30 +0000'), common('a', '10:00:00 +0000'), common('a', '10:00:31 +0000')].join('\n'),
    )
    expect(result).toMatchObject({ outOfOrder: 1, outOfOrderMaxMs: 30_000, spanMs: 31_000 })
  })

  test.each([
    ['nginx', '{"time_iso8601":"2026-01-15T10:00:00+00:00","remote_addr":"10.0.0.1","request":"GET /a HTTP/1.1","status":200}'],
    ['Caddy', '{"ts":1768471200.5,"request":{"remote_ip":"10.0.0.1","method":"GET","uri":"/a?x=1"},"status":200}'],
    ['Traefik', '{"ClientHost":"10.0.0.1","RequestMethod":"GET","RequestPath":"/a","StartUTC":"2026-01-15T10:00:00Z"}'],
    ['pino', '{"time":1768471200000,"req":{"method":"GET","url":"/a","remoteAddress":"10.0.0.1"}}'],
    ['combined', `${common('10.0.0.1', '10:00:00 +0000', 'GET /a HTTP/1.1')} "-" "curl \\"quoted\\""`],
  ])('reads lines of %s', async (_, line) => {
    const result = await run(`${line}\n${line}\n${line}\n`, { key: 'ip+path', path: '/a', method: 'GET' })
    expect(result).toMatchObject({ requests: 3, bad: 0 })
    expect(result.from.slice(0, 19)).toBe('2026-01-15T10:00:00')
    expect(result.proposals[0]?.offenders[0]).toMatchObject({ client: '10.0.0.1 /a', refused: 1 })
  })

  test('keeps a user apart from an address of the same text', async () => {
    const lines = [common('10.0.0.1', '10:00:00 +0000'), common('10.0.0.2', '10:00:00 +0000', 'GET / HTTP/1.1', '10.0.0.1')]
    expect(await run(lines.join('\n'), { key: 'user' })).toMatchObject({ clients: 2 })
  })

  test('takes the client, not the virtual host that stands before it', async () => {
    const lines = ['10.0.0.1', '10.0.0.2'].map((ip) => `example.com:80 ${common(ip, '10:00:00 +0000', 'GET / HTTP/1.1', 'ann')}`)
    expect(await run(lines.join('\n'))).toMatchObject({ clients: 2, bad: 0 })
    expect(await run(lines.join('\n'), { key: 'user' })).toMatchObject({ clients: 1 })
  })

  test.each(['x [15/Jan/2099:10:00:00 +0000]', '[x', 'x\\" [15/Jan/2099:10:00:00 +0000] \\"'])(
    'does not let a client move the clock by its user name (%s)',
    async (user) => {
      const result = await run([common('a', '10:00:00 +0000', 'GET / HTTP/1.1', user), common('a', '10:00:01 +0000')].join('\n'))
      expect(result).toMatchObject({ requests: 2, bad: 0, outOfOrder: 0, to: '2026-01-15T10:00:01.000Z' })
    },
  )

  test('reads a line alike whatever is asked of it', async () => {
    const lines = [
      '10.0.0.1 - - [15/Jan/2026:10:00:00 +0000]',
      '10.0.0.1 - - [15/Jan/2026:10:00:00 +0000] "GET /cut',
      common('a', '10:00:00 +0000', '-'),
    ]
    for (const key of ['ip', 'user', 'ip+method'])
      expect(await run([...lines, common('a', '10:00:00 +0000')].join('\n'), { key })).toMatchObject({ bad: 2 })
  })

  test('numbers lines as an editor does, empty ones too, and says what is wrong with a bad one', async () => {
    const bad = [
      '',
      'x',
      '',
      '\r',
      '{',
      '{"ip":"a"}',
      '{"time":"2026-01-15T10:00:00Z"}',
      common('a', '10:00:00 +0000').replace('15/Jan', '31/Feb'),
    ]
    const result = await run(`\ufeff${[common('a', '10:00:00 +0000'), ...bad].join('\n')}\n`)
    expect(result).toMatchObject({ lines: 6, bad: 5, requests: 1 })
    expect(result.badLines.map(({ line, why }) => [line, why])).toEqual([
      [3, 'not in the common or combined format'],
      [6, 'broken JSON'],
      [7, 'no time'],
      [8, 'no client address'],
      [9, 'no such time'],
    ])
    // The mark at the beginning of a file is no part of the first client's name.
    expect(result.proposals[0]?.needed[0]).toMatchObject({ nobody: '1/m' })
    expect((await run(`\ufeff${common('a', '10:00:00 +0000')}`, { rates: ['0/m'] })).proposals[0]?.offenders[0]?.client).toBe('a')
  })

  test('says when the times are whole seconds', async () => {
    expect(await run(log)).toMatchObject({ wholeSeconds: true })
    expect(await run('{"time":1768471200.5,"ip":"a"}')).toMatchObject({ wholeSeconds: false })
  })

  test('gives a burst to the algorithms that have one', async () => {
    const many = Array.from({ length: 5 }, () => common('a', '10:00:00 +0000')).join('\n')
    const result = await run(many, {
      rates: ['2/m'],
      algorithms: ['sliding_window', 'token_bucket', 'leaky_bucket', 'gcra'],
      burst: 4,
    })
    expect(result.proposals.map(({ refused }) => refused)).toEqual([3, 1, 1, 1])
  })

  test('takes a log of mixed formats, and counts the lines it cannot read without failing', async () => {
    const json = '{"time":1768471200000,"ip":"10.0.0.9"}'
    const bad = [
      'garbage',
      '{"time":"never","ip":"1.2.3.4"}',
      '{broken',
      '10.0.0.1 - - [99/Foo/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1',
    ]
    const result = await run([common('a', '10:00:00 +0000'), json, ...bad].join('\n'))
    expect(result).toMatchObject({ lines: 6, requests: 2, bad: 4 })
    expect(result.badLines.map(({ line }) => line)).toEqual([3, 4, 5, 6])
  })

  test('shows nothing of a log that a terminal would obey', async () => {
    const result = await run(
      [
        common('a\u001b[2J', '10:00:00 +0000'),
        common('a\u001b[2J', '10:00:01 +0000'),
        common('a\u001b[2J', '10:00:02 +0000'),
        '\u001b]0;x\u0007bad\u202e',
      ].join('\n'),
    )
    const text = replayText(result, false).join('\n')
    expect(text).toContain('\\u{1b}')
    expect(Array.from(text).filter((char) => (char < ' ' && char !== '\n') || char === '\u007f' || char === '\u202e')).toEqual([])
  })

  test('counts a line without an end as one bad line and holds no more than its beginning', async () => {
    const result = await run(`${common('a', '10:00:00 +0000')}\n${'x'.repeat(3_000_000)}\n${common('a', '10:00:01 +0000')}\n`)
    expect(result).toMatchObject({ lines: 3, requests: 2, bad: 1 })
    expect(result.badLines[0]?.text.length).toBeLessThan(200)
  })

  test('finds lines that lie across the pieces a file is read in', async () => {
    const lines = Array.from({ length: 9000 }, (_, i) =>
      common(`10.0.${i >> 8}.${i & 255}`, '10:00:00 +0000', `GET /${'p'.repeat(i % 97)} HTTP/1.1`),
    )
    expect(await run(lines.join('\n'))).toMatchObject({ requests: 9000, clients: 9000, bad: 0 })
  })

  test('groups IPv6 clients as the live limiter does', async () => {
    const result = await run(
      ['2001:db8::1', '2001:db8::2', '2001:db8:0:0:ffff::'].map((ip) => common(ip, '10:00:00 +0000')).join('\n'),
    )
    expect(result).toMatchObject({ clients: 1 })
    expect(result.proposals[0]?.refused).toBe(1)
  })

  test('counts by user or address, and by a field; leaves out lines without the field', async () => {
    const lines = [
      common('a', '10:00:00 +0000', 'GET / HTTP/1.1', 'ann'),
      common('b', '10:00:01 +0000', 'GET / HTTP/1.1', 'ann'),
      common('c', '10:00:02 +0000'),
    ].join('\n')
    // As in a live limiter, `user` is the address of whoever is not logged in.
    for (const key of ['user', 'user_or_ip'])
      expect(await run(lines, { key })).toMatchObject({ requests: 3, clients: 2, filtered: 0 })
    const tenants = ['a', 'b'].map((ip) => `{"time":1768471200,"ip":"${ip}","tenant":"x"}`).join('\n')
    expect(await run(`${tenants}\n${common('c', '10:00:00 +0000')}`, { key: 'field:tenant' })).toMatchObject({
      clients: 1,
      filtered: 1,
    })
  })

  test.each([
    ['an unknown key', { key: 'cookie' }, /--key: expected ip, .*received "cookie"/],
    ['a rate outside the grammar', { rates: ['10'] }, /--rate: expected a rate.*received "10"/],
    [
      'a burst without a bucket',
      { burst: 5 },
      /--burst: expected an --algorithm of token_bucket, leaky_bucket, gcra, received "sliding_window"/,
    ],
    [
      'a burst beyond all numbers',
      { rates: ['10/d'], algorithms: ['token_bucket'], burst: 9e14 },
      /^--rate "10\/d" with token_bucket: expected a size/,
    ],
    [
      'a calendar rate in a bucket',
      { rates: ['10/month'], algorithms: ['gcra'] },
      /^--rate "10\/month" with gcra: expected fixed_window/,
    ],
    ['a path that is none', { path: 'api' }, /--path/],
  ] as [string, Partial<ReplayOptions>, RegExp][])('refuses %s', async (_, options, message) => {
    await expect(run(log, options)).rejects.toThrow(message)
  })

  test.each([
    ['an empty file', '', /empty/],
    [
      'a file without a usable line',
      'a\nb\nc\n',
      /none of 3 lines could be read.*line 1 is not in the common or combined format: "a"/,
    ],
    ['another compression', Buffer.from('28b52ffd00000000', 'hex'), /compressed by zstd; unpack it first/],
    [
      'a log of which a filter leaves nothing',
      `${log}\nx`,
      /none of 8 lines is left: 1 could not be read, 7 were left out/,
      { path: '/none' },
    ],
    ['broken gzip', gzipSync(log).subarray(0, 40), /gzip data is broken/],
  ] as [string, string | Buffer, RegExp, Partial<ReplayOptions>?][])('refuses %s', async (_, content, message, options) => {
    await expect(run(content, options)).rejects.toMatchObject({
      code: 'ERR_RATELIMIT_LOG',
      message: expect.stringMatching(message) as string,
    })
  })
})

test('a missing file and a folder are clear errors', async () => {
  await expect(openLog(join(folder, 'none'))).rejects.toThrow(/no such file/)
  await expect(openLog(folder)).rejects.toThrow(/folder/)
})

test('a sparkline has a bar where there are refusals, the tallest where they are most', () => {
  expect(
    sparkline(
      new Map([
        [0, 1],
        [2, 8],
      ]),
      0,
      3 * 60_000,
    ),
  ).toBe('▁ █ ')
  expect(sparkline(new Map([[0, 1]]), 0, 1_000_000 * 60_000)).toHaveLength(60)
})

describe('the command', () => {
  const line = common('a', '10:00:00 +0000')

  test('reads standard input and prints one JSON document with --json', async () => {
    const { code, out, err } = await command(['replay', '-', '--rate', '1/m', '--json'], `${line}\n${line}\n`)
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(JSON.parse(out)).toMatchObject({ requests: 2, proposals: [{ refused: 1, refusedShare: 0.5 }] })
  })

  test('prints a report without colours or progress where there is no terminal', async () => {
    const { code, out, err } = await command(['replay', file(`${line}\n${line}\n`), '-r', '1/m', '-r', '9/m'])
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toContain('2 requests of 1 client,')
    expect(out).toMatch(/1\/m sliding_window\s+1\s+50\.0 %/)
    expect(out).toContain('9/m sliding_window: nobody would be refused')
    expect(out).not.toContain('\u001b')
  })

  test('reads gzip from standard input, and ends quietly when its reader has seen enough', async () => {
    const path = file(gzipSync(`${line}\n${line}\n`))
    const main = join(import.meta.dirname, 'main.ts')
    const script = `set -o pipefail; "$0" "$1" replay - -r 1/m < "$2" | head -1; "$0" "$1" replay - -r 1/m --json < "$2" | true`
    const child = spawn('bash', ['-c', script, process.execPath, main, path], { env: { ...process.env, NO_COLOR: '1' } })
    const [code, out, err] = await new Promise<[number | null, string, string]>((resolve) => {
      let text = ''
      let errors = ''
      child.stdout.on('data', (data: Buffer) => (text += data.toString()))
      child.stderr.on('data', (data: Buffer) => (errors += data.toString()))
      child.on('close', (status) => resolve([status, text, errors]))
    })
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toMatch(/^2 requests of 1 client,.*\n$/)
  })

  test.each([
    [['replay', '/nonexistent.log', '--rate', '1/m'], /no such file \(ERR_RATELIMIT_LOG\)/],
    [['replay', 'x', '--rate', '1/fortnight'], /no such file/],
    [['replay', '-', '--rate', '1/fortnight'], /--rate.*"1\/fortnight" \(ERR_RATELIMIT_RATE\)/],
    [['replay', '-'], /required option.*--rate/],
    [['replay', '-', '--rate', '1/m', '--algorithm', 'magic'], /one of sliding_window/],
    [['replay', '-', '--rate', '1/m', '--topp', '3'], /unknown option.*--topp/],
    [['replya'], /Did you mean replay/],
  ])('%j ends with exit code 1 and says why', async (args, message) => {
    const { code, out, err } = await command(args, 'x\n')
    expect(code).toBe(1)
    expect(out).toBe('')
    expect(err).toMatch(message)
    expect(err).not.toMatch(/\n\s+at /)
  })
})
