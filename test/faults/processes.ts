// The processes of a fault run, seen from the one that orders them about. Promise: every decision they report is kept; none of them outlives
// the run, not even a stopped one. Next: load-worker.ts, which is what they run; row.ts, which plays a fault.

import { type ChildProcess, fork } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { bundleChild } from '../child-bundle.ts'
import { isStopped } from '../servers/processes.ts'
import type { DecisionRow, LoadCommand, LoadOrder, LoadReport, Setup } from './load.ts'

/** A decision, and the process that reported it. */
export interface Heard {
  readonly process: number
  readonly setup: number
  readonly policy: DecisionRow[1]
  readonly key: string
  readonly askedAt: number
  readonly tookMs: number
  readonly lostMs: number
  readonly allowed: boolean
  readonly source: string
  readonly now: number
}

/** What processes are started with. */
export type Orders = Omit<LoadOrder, 'process'> & { readonly processes: number }

/** See the head of this file. */
export class Processes implements AsyncDisposable {
  readonly setups: readonly Setup[]
  /** In the order of being reported. */
  readonly heard: Heard[] = []
  /** What nobody should see: unhandled rejections, errors that were thrown, processes that ended. Each once. */
  readonly problems: string[] = []
  /** Per setup: what its stores said went wrong. */
  readonly errors: Set<string>[]
  /** Questions that were never answered. */
  unsettled = 0
  /** By how much the heap of a process grew, at most. */
  grownBytes = 0
  /** The most probes of one store that a process had on their way at once; 0 where nobody looked. */
  probesAtOnce = 0
  readonly #children: readonly ChildProcess[]
  readonly #remove: () => void
  /** Per process and setup: among how many processes it would share a limit. */
  readonly #instances: (readonly number[])[]
  #ended = 0
  #stopping = false
  readonly #surged: ((rows: readonly Heard[]) => void)[] = []

  private constructor(children: readonly ChildProcess[], orders: Orders, remove: () => void) {
    this.setups = orders.setups
    this.#children = children
    this.#remove = remove
    this.errors = orders.setups.map(() => new Set())
    this.#instances = children.map(() => [])
    for (const [i, child] of children.entries()) {
      child.on('message', (report: LoadReport) => this.#hear(i, report))
      child.on('exit', (code, signal) => {
        if (!this.#stopping) this.#problem(`process ${i} ended (${signal ?? code})`)
      })
    }
  }

  static async start({ processes, ...orders }: Orders): Promise<Processes> {
    const { file, remove } = await bundleChild({
      contents: "import { work } from './load-worker.ts'\nwork()",
      resolveDir: import.meta.dirname,
    })
    const children = Array.from({ length: processes }, () =>
      fork(file, { execArgv: ['--expose-gc'], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }),
    )
    const run = new Processes(children, { ...orders, processes }, remove)
    for (const [process, child] of children.entries()) run.#send(child, { kind: 'start', order: { ...orders, process } })
    return run
  }

  get count(): number {
    return this.#children.length
  }

  /** Tells one process something, or all of them. */
  tell(command: Exclude<LoadCommand, { kind: 'start' | 'stop' }>, process?: number): void {
    for (const child of this.#chosen(process)) this.#send(child, command)
  }

  /** Asks so many questions at once in one process; resolves to the answers. */
  surge(questions: number): Promise<readonly Heard[]> {
    return new Promise((resolve) => {
      this.#surged.push(resolve)
      this.tell({ kind: 'surge', questions }, 0)
    })
  }

  /** Resolves when the signal has taken effect. */
  async signal(signal: 'SIGSTOP' | 'SIGCONT', process?: number): Promise<void> {
    const chosen = this.#chosen(process)
    for (const child of chosen) child.kill(signal)
    if (signal === 'SIGSTOP') while (!chosen.every(({ pid }) => isStopped(pid as number))) await delay(5)
  }

  /** Whether all processes share every setup's limits among as many as there are, and have decided by the first store alone for so long. */
  isSteady(forMs: number): boolean {
    const known = this.#instances.every((one) => one.length > 0 && one.every((count) => count >= this.count))
    return known && this.isOnPrimary(forMs)
  }

  /** Whether every process has asked a store lately, and all that it decided in so long a time was decided by the first one. */
  isOnPrimary(forMs: number): boolean {
    const since = Date.now() - forMs
    const seen = new Set<string>()
    for (let i = this.heard.length - 1; i >= 0; i--) {
      const { askedAt, source, process, setup } = this.heard[i] as Heard
      if (askedAt < since - 1000) break
      if (askedAt < since) continue
      if (source === 'primary') seen.add(`${process} ${setup}`)
      else if (source !== 'remembered') return false
    }
    return seen.size === this.count * this.setups.length
  }

  /** What is known when something is wrong. */
  story(): string {
    const errors = this.errors.map((texts) => [...texts])
    const latest = this.heard.slice(-5)
    return JSON.stringify({ problems: this.problems, errors, instances: this.#instances, latest })
  }

  /** Lets them settle what they asked, and ends them. */
  async stop(): Promise<void> {
    if (this.#stopping) return
    this.#stopping = true
    for (const child of this.#children) {
      child.kill('SIGCONT')
      this.#send(child, { kind: 'stop' })
    }
    const until = performance.now() + 5000
    while (this.#ended < this.#children.filter(({ exitCode }) => exitCode === null).length && performance.now() < until)
      await delay(10)
    if (this.#ended < this.count) this.#problem(`${this.count - this.#ended} processes did not end by themselves`)
    await this[Symbol.asyncDispose]()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true
    await Promise.all(this.#children.map(gone))
    this.#remove()
  }

  #chosen(process: number | undefined): readonly ChildProcess[] {
    return process === undefined ? this.#children : [this.#children[process] as ChildProcess]
  }

  #send(child: ChildProcess, command: LoadCommand): void {
    // One that has ended is a problem that is known already.
    if (child.connected) child.send(command, () => undefined)
  }

  #hear(process: number, report: LoadReport): void {
    if (report.kind === 'problem') this.#problem(report.text)
    else if (report.kind === 'ended') {
      this.#ended++
      this.unsettled += report.unsettled
      this.grownBytes = Math.max(this.grownBytes, report.grownBytes)
      this.probesAtOnce = Math.max(this.probesAtOnce, report.probesAtOnce)
    } else if (report.kind === 'surged') {
      this.#surged.shift()?.(report.rows.map((row) => this.#decision(process, row)))
    } else {
      for (const row of report.rows) this.heard.push(this.#decision(process, row))
      this.#instances[process] = report.instances
      for (const [setup, texts] of report.errors.entries()) for (const text of texts) this.errors[setup]?.add(text)
    }
  }

  #problem(text: string): void {
    if (!this.problems.includes(text)) this.problems.push(text)
  }

  #decision(process: number, row: DecisionRow): Heard {
    const [setup, policy, key, askedAt, tookMs, lostMs, allowed, source, now] = row
    if (typeof allowed === 'string') this.#problem(`a decision was thrown: ${allowed}`)
    return { process, setup, policy, key, askedAt, tookMs, lostMs, allowed: allowed === 1, source, now }
  }
}

function gone(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve()
    child.once('exit', () => resolve())
    child.kill('SIGKILL')
  })
}
