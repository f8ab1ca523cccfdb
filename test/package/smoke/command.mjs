// Run by scripts/installed.ts: the command of the package starts, answers and fails as commands should.
// Next: ../installed.test.ts.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'

const { version } = JSON.parse(readFileSync('node_modules/smart-ratelimit/package.json', 'utf8'))
const run = (...args) =>
  spawnSync(process.execPath, ['node_modules/smart-ratelimit/dist/cli/main.js', ...args], { encoding: 'utf8' })

assert.equal(run('--version').stdout.trim(), version)

const line = (second) => `192.0.2.7 - - [24/Nov/2026:10:00:0${second} +0000] "GET / HTTP/1.1" 200 12 "-" "-"\n`
writeFileSync('access.log', [0, 1, 2, 3].map(line).join(''))
const replay = run('replay', 'access.log', '--rate', '3/m', '--key', 'ip', '--json')
assert.equal(replay.status, 0, replay.stderr)
assert.match(JSON.stringify(JSON.parse(replay.stdout)), /"refused":1\b/)

const wrong = run('replay', 'access.log', '--rate', 'often')
assert.notEqual(wrong.status, 0)
assert.match(wrong.stderr, /often/)

console.log(`command ok on ${process.version}`)
