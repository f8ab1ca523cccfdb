// The command `bench`. Next: bench.ts.

import { type Command, InvalidArgumentError, Option } from 'commander'
import { ConfigError } from '../core/errors.ts'
import { ALGORITHMS, type AlgorithmName } from '../core/limit.ts'
import { meant } from '../config/field.ts'
import type { OpenStore } from '../config/open-stores.ts'
import { benchJson, benchText } from './bench-report.ts'
import { type BenchOptions, bench } from './bench.ts'
import { durationOf } from './duration.ts'
import { wholeNumber } from './replay-command.ts'
import { print, printJson, progressLine, styler } from './terminal.ts'
import { type ConfigFlags, settingsFor, withConfig, withStores } from './with-stores.ts'

interface Flags extends ConfigFlags {
  readonly inFlight: readonly number[]
  readonly for: number
  readonly keys: number
  readonly algorithm: AlgorithmName
  readonly store?: string
  readonly json: boolean
}

const MOST_IN_FLIGHT = 10_000
const MOST_KEYS = 1_000_000

/** Adds the command to a program. */
export function addBench(program: Command): void {
  withConfig(
    program
      .command('bench')
      .summary('measure decisions per second')
      .description(
        'Measures how many decisions per second each configured store makes, and how long they take, with the settings that the app has. Its keys are its own, and are removed afterwards.',
      ),
  )
    .addOption(
      new Option('--in-flight <n,n,…>', 'decisions on their way at once, one measurement each')
        .argParser(countsOf)
        .default([1, 32, 256], '1,32,256'),
    )
    .addOption(
      new Option('--for <duration>', 'how long each measurement takes, such as 10s').argParser(durationOf).default(2000, '2s'),
    )
    .option('--keys <n>', `distinct keys, at most ${MOST_KEYS}`, keysOf, 1000)
    .addOption(new Option('-a, --algorithm <name>', 'what decides').choices(ALGORITHMS).default('sliding_window'))
    .option('--store <name>', 'only this one of several stores')
    .option('--json', 'one JSON document on standard output', false)
    .addHelpText(
      'after',
      `
It puts load on the store: think before you run it where people are served. Ctrl-C ends it early, removes the keys, and tells what was found.

Examples:
  smart-ratelimit bench
  smart-ratelimit bench --in-flight 64 --for 10s --algorithm token_bucket --json

Exit codes: 0 measured; 1 a store could not be asked, some decisions failed, keys are left, or wrong input.
`,
    )
    .action(run)
}

async function run({ inFlight, for: durationMs, keys, algorithm, store, json, ...flags }: Flags): Promise<void> {
  const loaded = await settingsFor(flags)
  const progress = progressLine()
  const interrupted = new AbortController()
  const onSignal = (): void => interrupted.abort()
  process.once('SIGINT', onSignal)
  process.once('SIGTERM', onSignal)
  const options: BenchOptions = {
    algorithm,
    inFlight,
    durationMs,
    keys,
    signal: interrupted.signal,
    onProgress: (text) => progress.show(text),
  }
  const found = await withStores(loaded, {}, (stores) => bench(named(stores, store), options)).finally(() => progress.clear())
  if (found.some(({ error, runs }) => error !== undefined || runs.some(({ failures }) => failures > 0))) process.exitCode = 1
  if (json) printJson(benchJson(found, options))
  else for (const line of benchText(found, styler())) print(line)
}

function named(stores: readonly OpenStore[], wanted: string | undefined): readonly OpenStore[] {
  if (wanted === undefined) return stores
  const found = stores.filter(({ name }) => name === wanted)
  if (found.length > 0) return found
  const names = stores.map(({ name }) => name)
  throw new ConfigError('--store', `one of ${names.join(', ')}${meant(wanted, names)}`, wanted)
}

function countsOf(text: string): readonly number[] {
  const counts = text.split(',').map((part) => wholeNumber(part.trim()))
  if (counts.some((count) => count > MOST_IN_FLIGHT)) throw new InvalidArgumentError(`At most ${MOST_IN_FLIGHT} each.`)
  return counts
}

function keysOf(text: string): number {
  const count = wholeNumber(text)
  if (count > MOST_KEYS) throw new InvalidArgumentError(`At most ${MOST_KEYS}.`)
  return count
}
