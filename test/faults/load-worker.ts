// A process of a fault run: limiters under load for as long as it lives, telling of every decision. Promise: it judges nothing; what the
// event loop was kept from doing is measured apart, so that a busy machine is not taken for a slow limiter. Next: load.ts, processes.ts.

import { buildLimiters } from './load-limiters.ts'
import {
  AMPLE_KEYS,
  type DecisionRow,
  type LoadCommand,
  type LoadOrder,
  type LoadReport,
  POLICIES,
  type PolicyName,
} from './load.ts'
import { LoopWatch } from './loop-watch.ts'
import { knowNames } from './names.ts'

const REPORT_MS = 100
/** After the last question: nothing settles later than this, or it never does. */
const PATIENCE_MS = 1500

const tell = (message: LoadReport): void => void process.send?.(message)
const problem = (text: string): void => tell({ kind: 'problem', text })
const watch = new LoopWatch()
let rows: DecisionRow[] = []
/** Questions that are not answered yet. */
const asked = new Set<object>()
/** Callers who wait for an answer. */
const waiting = new Set<string>()
let running: Running | undefined
let begun = false
const LIMITS = Object.keys(POLICIES) as (keyof typeof POLICIES)[]

interface Running {
  readonly order: LoadOrder
  readonly setups: readonly Awaited<ReturnType<typeof buildLimiters>>[]
  readonly timers: readonly NodeJS.Timeout[]
  readonly heapBytes: number
}

async function start(order: LoadOrder): Promise<void> {
  const setups = await Promise.all(order.setups.map(async (setup) => buildLimiters(setup, order)))
  const heapBytes = heapInUse()
  let turn = 0
  const askAll = (): void => {
    turn++
    for (const setup of setups.keys()) {
      for (const policy of begun ? LIMITS : []) {
        void askNext(setup, policy, `own ${order.process}`)
        void ask(setup, policy, 'shared')
      }
      for (let i = 0; i < 2; i++) void ask(setup, 'ample', ampleKey(order, 2 * turn + i))
    }
  }
  running = { order, setups, heapBytes, timers: [setInterval(askAll, order.everyMs), setInterval(report, REPORT_MS)] }
}

function ampleKey({ process: number }: LoadOrder, n: number): string {
  return `ample ${number}.${n % AMPLE_KEYS}`
}

async function decide(setup: number, policy: PolicyName, key: string): Promise<DecisionRow | undefined> {
  const limiter = running?.setups[setup]?.limiters[policy]
  if (limiter === undefined) return undefined
  const askedAt = Date.now()
  const since = performance.now()
  const lostBefore = watch.lostMs()
  const row = (allowed: DecisionRow[6], source: string, now: number): DecisionRow => {
    const [tookMs, lostMs] = [performance.now() - since, watch.lostMs() - lostBefore]
    return [setup, policy, key, askedAt, round(tookMs), round(lostMs), allowed, source, now]
  }
  const question = {}
  asked.add(question)
  try {
    const { allowed, source, now } = await limiter.check(key)
    return row(allowed ? 1 : 0, source, now)
  } catch (error) {
    return row(textOf(error), 'thrown', Date.now())
  } finally {
    asked.delete(question)
  }
}

/** Asks one question of the load. */
async function ask(setup: number, policy: PolicyName, key: string): Promise<void> {
  const row = await decide(setup, policy, key)
  if (row !== undefined) rows.push(row)
}

/** Asks if the answer before has come: of what one caller asks one request after the other, nothing may be too much. */
async function askNext(setup: number, policy: PolicyName, key: string): Promise<void> {
  const name = `${setup} ${policy}`
  if (waiting.has(name)) return
  waiting.add(name)
  await ask(setup, policy, key)
  waiting.delete(name)
}

/** Many questions at once, about as many keys, half of them by a limit that refuses. */
async function surge(questions: number): Promise<void> {
  if (running === undefined) return
  const { order, setups } = running
  const answers: Promise<DecisionRow | undefined>[] = []
  for (let i = 0; i < questions; i++) {
    const policy = i % 2 === 0 ? 'ample' : 'sliding'
    answers.push(decide(i % setups.length, policy, `surge ${order.process}.${i}`))
  }
  const answered = (await Promise.all(answers)).filter((row) => row !== undefined)
  tell({ kind: 'surged', rows: answered })
}

function report(): void {
  if (running === undefined) return
  const { setups } = running
  const settled = rows
  rows = []
  tell({
    kind: 'decisions',
    rows: settled,
    instances: setups.map(({ instances }) => instances()),
    errors: setups.map(({ takeErrors }) => takeErrors()),
  })
}

async function stop(): Promise<void> {
  for (const timer of running?.timers ?? []) clearInterval(timer)
  const until = performance.now() + PATIENCE_MS
  while (asked.size > 0 && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 10))
  const left = asked.size
  report()
  const grownBytes = heapInUse() - (running?.heapBytes ?? 0)
  const probesAtOnce = Math.max(0, ...(running?.setups ?? []).map((one) => one.probesAtOnce()))
  await Promise.all((running?.setups ?? []).map(async ({ close }) => close()))
  tell({ kind: 'ended', unsettled: left, grownBytes, probesAtOnce })
}

function heapInUse(): number {
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
}

function block(ms: number): void {
  const until = performance.now() + ms
  while (performance.now() < until);
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10
}

function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

/** Serves the process that started this one. */
export function work(): void {
  process.on('message', (command: LoadCommand) => {
    const failed = (error: unknown): void => problem(`${command.kind} failed: ${textOf(error)}`)
    if (command.kind === 'start') start(command.order).catch(failed)
    else if (command.kind === 'begin') begun = true
    else if (command.kind === 'stop') stop().catch(failed)
    else if (command.kind === 'surge') surge(command.questions).catch(failed)
    else if (command.kind === 'names') knowNames(command.known)
    else if (command.kind === 'occupy')
      Promise.all((running?.setups ?? []).map(async (one) => one.occupy(command.ms))).catch(failed)
    else block(command.ms)
  })
  process.on('disconnect', () => process.exit())
  process.on('unhandledRejection', (error) => problem(`unhandled rejection: ${textOf(error)}`))
  process.on('uncaughtException', (error) => problem(`uncaught exception: ${textOf(error)}`))
  process.on('warning', (warning) => {
    if (warning.name === 'MaxListenersExceededWarning') problem(`warning: ${textOf(warning)}`)
  })
}
