// The command `replay`. Next: replay.ts.

import { type Command, InvalidArgumentError, Option } from 'commander'
import { systemClock } from '../core/clock.ts'
import { ALGORITHMS, type AlgorithmName } from '../core/limit.ts'
import type { LogFormat } from './log-line.ts'
import { type OpenLog, openLog } from './log-reader.ts'
import { replayJson, replayText } from './replay-report.ts'
import { replay } from './replay.ts'
import { hasColour } from './terminal.ts'

interface Flags {
  readonly rate: readonly string[]
  readonly algorithm: readonly AlgorithmName[]
  readonly burst?: number
  readonly key: string
  readonly path?: string
  readonly method?: string
  readonly format: LogFormat
  readonly top: number
  readonly json: boolean
  readonly progress: boolean
}

const collect = <T>(value: T, before: readonly T[] = []): readonly T[] => [...before, value]

/** Adds the command to a program. */
export function addReplay(program: Command): void {
  program
    .command('replay')
    .summary('try limits on a recorded access log')
    .description(
      'Replays an access log (common, combined or JSON lines; gzip too) against proposed limits: who would have been refused, and when.',
    )
    .argument('<log>', 'a file, or - for standard input')
    .requiredOption(
      '-r, --rate <rate>',
      'a proposed limit such as 100/m or "10/s, 1000/h"; repeat it to compare',
      collect<string>,
    )
    .addOption(
      new Option('-a, --algorithm <name>', 'try each rate with this algorithm; repeat it to compare (default: sliding_window)')
        .choices(ALGORITHMS)
        .argParser((value: string, before: readonly AlgorithmName[]) => {
          if (!ALGORITHMS.includes(value as AlgorithmName))
            throw new InvalidArgumentError(`It must be one of ${ALGORITHMS.join(', ')}.`)
          return collect(value as AlgorithmName, before)
        })
        .default([], 'the default of the rate'),
    )
    .option('--burst <n>', 'bucket size of token_bucket and leaky_bucket, burst of gcra; others have none', wholeNumber)
    .option('-k, --key <key>', 'whom to count: ip, user (else ip), path, method, field:<JSON field>; joined by +', 'ip')
    .option('--path <path>', 'only requests to this path and below')
    .option('--method <method>', 'only requests of this method', (value: string) => value.toUpperCase())
    .addOption(
      new Option('--format <format>', 'how lines are read').choices(['auto', 'common', 'combined', 'json']).default('auto'),
    )
    .option('--top <n>', 'offenders to list', wholeNumber, 10)
    .option('--json', 'one JSON document on standard output', false)
    .option('--no-progress', 'no progress bar on standard error')
    .addHelpText(
      'after',
      `
Examples:
  smart-ratelimit replay access.log.gz --rate 60/m --rate 100/m --key ip --path /api

Exit codes: 0 replayed; 1 no line of the log could be used, or wrong input.
`,
    )
    .action(run)
}

async function run(path: string, flags: Flags): Promise<void> {
  const log = await openLog(path)
  const bar = flags.progress && process.stderr.isTTY ? progressBar(log) : undefined
  try {
    const { rate, algorithm, json: _json, progress: _progress, ...rest } = flags
    const result = await replay(log, { ...rest, rates: rate, algorithms: algorithm, ...(bar && { onProgress: bar.show }) })
    bar?.clear()
    const colour = hasColour()
    const text = flags.json ? JSON.stringify(replayJson(result), undefined, 2) : replayText(result, colour).join('\n').trimEnd()
    process.stdout.write(`${text}\n`)
  } finally {
    bar?.clear()
  }
}

function progressBar(log: OpenLog): { show: () => void; clear: () => void } {
  let shown = 0
  return {
    show() {
      const now = systemClock.now()
      if (now - shown < 100) return
      shown = now
      const done = log.size === undefined || log.size === 0 ? undefined : log.read / log.size
      const megabytes = `${(log.read / 1e6).toFixed(0)} MB`
      const filled =
        done === undefined ? '' : `${'█'.repeat(Math.floor(done * 30)).padEnd(30, '░')} ${(done * 100).toFixed(0)} % `
      process.stderr.write(`\r${filled}${megabytes}\u001b[K`)
    },
    clear() {
      if (shown > 0) process.stderr.write('\r\u001b[K')
      shown = 0
    },
  }
}

/** A whole number ≥ 1 of the command line. */
export function wholeNumber(value: string): number {
  if (!/^\d{1,15}$/.test(value) || Number(value) < 1) throw new InvalidArgumentError('It must be a whole number of at least 1.')
  return Number(value)
}
