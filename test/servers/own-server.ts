// One server process of our own. Promise: it listens on a free port of 127.0.0.1, keeps its data in a temp folder, is ready when start
// resolves, and fails after 30 s with its last words. Next: run-folder.ts, which clears up behind a process that could not.

import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { chmod, chown, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { join } from 'node:path'
import { familyOf, isRunning, isStopped, signalAll } from './processes.ts'
import { findProgram } from './programs.ts'
import { runFolder } from './run-folder.ts'

export interface OwnServer extends AsyncDisposable {
  readonly url: string
  /** Stays the same over `restart()`. */
  readonly port: number
  /** Changes with `restart()`. */
  readonly pid: number
  /** Holds its data and its `output`; gone after `stop()`. */
  readonly folder: string
  /** Sends a signal to the server and its child processes. Resolves when it has taken effect: stopped (SIGSTOP) or gone. */
  kill(signal: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL' | 'SIGTERM'): Promise<void>
  /** Ends it if it runs, and starts it on the same port and data. Redis keeps nothing on disk, so it comes back empty. */
  restart(): Promise<void>
  /** Ends it (SIGKILL after 5 s) and removes its folder. May be called twice. */
  stop(): Promise<void>
}

export interface Blueprint {
  /** Begins the folder's name. */
  readonly name: string
  readonly program: string
  readonly args: (port: number, folder: string) => readonly string[]
  readonly url: (port: number) => string
  /** Whether the server answers in its own protocol. A refused connection is false as well. */
  readonly isReady: (port: number) => Promise<boolean>
  /** Fills the folder before the first start. */
  readonly init?: (folder: string) => Promise<void>
  /** Who runs it; default is this process's user. */
  readonly owner?: Owner | undefined
  /** More of its environment than this process has. */
  readonly env?: Readonly<Record<string, string>> | undefined
  /** What ends it in order; default SIGTERM. */
  readonly endSignal?: NodeJS.Signals
}

export interface Owner {
  readonly uid: number
  readonly gid: number
}

const START_LIMIT_MS = 30_000
const END_LIMIT_MS = 5_000
const POLL_MS = 10

/** Starts a server. Rejects when it dies or is not ready within 30 s, with the last 4 kB of its output; nothing is left then. */
export async function startServer(blueprint: Blueprint): Promise<OwnServer> {
  const { endSignal = 'SIGTERM' } = blueprint
  const folder = await makeFolder(blueprint)
  let child: ChildProcess | undefined
  let port = await freePort()

  const launch = async (): Promise<void> => {
    child = spawnIn(folder, blueprint, port)
    await readiness(child, folder, blueprint, port)
  }
  const end = async (): Promise<void> => {
    if (child?.pid === undefined || !isRunning(child.pid)) return
    const family = familyOf(child.pid)
    signalAll(family, 'SIGCONT')
    signalAll([child.pid], endSignal)
    if (await allGone(family, END_LIMIT_MS)) return
    signalAll(family, 'SIGKILL')
    await allGone(family, END_LIMIT_MS)
  }
  const stop = async (): Promise<void> => {
    await end()
    await rm(folder, { recursive: true, force: true })
  }

  try {
    await blueprint.init?.(folder)
    for (let attempt = 1; ; attempt++) {
      try {
        await launch()
        break
      } catch (error) {
        // Somebody took the port after it was found free.
        if (attempt === 5 || !/address already in use/i.test(String(error))) throw error
        port = await freePort()
      }
    }
  } catch (error) {
    await stop()
    throw error
  }

  return {
    port,
    folder,
    url: blueprint.url(port),
    get pid() {
      return child?.pid ?? Number.NaN
    },
    async kill(signal) {
      if (child?.pid === undefined) return
      // A killed server's children would end by themselves, but later: its port and memory are free when this resolves.
      const family = familyOf(child.pid)
      signalAll(signal === 'SIGTERM' ? [child.pid] : family, signal)
      if (signal === 'SIGSTOP') await until(() => family.every((pid) => !isRunning(pid) || isStopped(pid)), END_LIMIT_MS)
      else if (signal !== 'SIGCONT') await allGone(family, START_LIMIT_MS)
    },
    async restart() {
      await end()
      await launch()
    },
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

async function makeFolder({ name, owner }: Blueprint): Promise<string> {
  const folder = await mkdtemp(join(runFolder(), `${name}-`))
  await chmod(folder, 0o700)
  if (owner !== undefined) await chown(folder, owner.uid, owner.gid)
  await mkdir(join(folder, 'data'), { mode: 0o700 })
  if (owner !== undefined) await chown(join(folder, 'data'), owner.uid, owner.gid)
  return folder
}

function spawnIn(folder: string, { program, args, owner, env }: Blueprint, port: number): ChildProcess {
  // The kernel kills the server with its parent, even when that was killed itself and could not clear up, or the server is stopped.
  const leash = process.platform === 'linux' ? findProgram('setpriv') : undefined
  const command = [...(leash === undefined ? [] : [leash, '--pdeathsig', 'KILL', '--']), program, ...args(port, folder)]
  const output = openSync(join(folder, 'output'), 'w')
  const [first = '', ...rest] = command
  const child = spawn(first, rest, { cwd: folder, stdio: ['ignore', output, output], env: { ...process.env, ...env }, ...owner })
  closeSync(output)
  child.on('error', (error) => writeFileSync(join(folder, 'output'), String(error)))
  child.unref()
  return child
}

async function readiness(child: ChildProcess, folder: string, { name, isReady }: Blueprint, port: number): Promise<void> {
  const ended = (): boolean => child.pid === undefined || child.exitCode !== null || child.signalCode !== null
  const limit = performance.now() + START_LIMIT_MS
  while (performance.now() < limit) {
    // The pid is looked at after the answer, which may have come from another server on a port that we did not get.
    const answers = await isReady(port)
    if (ended()) throw new Error(`${name} ended while starting (${child.signalCode ?? child.exitCode}):\n${lastOutput(folder)}`)
    if (answers) return
    await delay(POLL_MS)
  }
  throw new Error(`${name} was not ready after ${START_LIMIT_MS / 1000} s:\n${lastOutput(folder)}`)
}

function lastOutput(folder: string): string {
  return readFileSync(join(folder, 'output'), 'utf8').slice(-4096)
}

/** Below the range that the system hands out to outgoing connections, so that a restarted server finds its port still free. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 12_000)
    // Redis Cluster's nodes talk to each other on port + 10000.
    if ((await isFree(port)) && (await isFree(port + 10_000))) return port
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)))
  })
}

function allGone(pids: readonly number[], limitMs: number): Promise<boolean> {
  return until(() => !pids.some(isRunning), limitMs)
}

async function until(condition: () => boolean, limitMs: number): Promise<boolean> {
  const limit = performance.now() + limitMs
  while (!condition()) {
    if (performance.now() > limit) return false
    await delay(POLL_MS)
  }
  return true
}
