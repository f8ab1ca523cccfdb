// Processes as the system sees them: who runs, who is stopped, whose children they are. Linux has /proc; elsewhere a server's children
// stay unknown and only the process itself is looked at. Next: own-server.ts.

import { readFileSync, readdirSync, readlinkSync } from 'node:fs'

/** Whether a process runs. One that ended and was not yet fetched by its parent does not. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
  const { state, threads } = stat(pid) ?? {}
  // While other threads end, the first one is a zombie already and the sockets are still open.
  return state !== 'Z' || (threads ?? 0) > 1
}

/** Whether SIGSTOP has taken effect. True where the system does not say. */
export function isStopped(pid: number): boolean {
  return /^[Tt]$/.test(stat(pid)?.state ?? 'T')
}

/** The process and its children and theirs. */
export function familyOf(pid: number): number[] {
  if (process.platform !== 'linux') return [pid]
  const parents = new Map(numbersIn('/proc').map((each) => [each, stat(each)?.parent]))
  const family = [pid]
  for (const member of family) for (const [each, parent] of parents) if (parent === member) family.push(each)
  return family
}

/** Signals those that still run. */
export function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
}

/** The processes whose working folder is this one or inside it. Outside Linux none are known. */
export function workingIn(folder: string): number[] {
  return process.platform === 'linux' ? numbersIn('/proc').filter((pid) => worksIn(pid, folder)) : []
}

function worksIn(pid: number, folder: string): boolean {
  try {
    return `${readlinkSync(`/proc/${pid}/cwd`)}/`.startsWith(`${folder}/`)
  } catch {
    return false
  }
}

function numbersIn(folder: string): number[] {
  return readdirSync(folder).map(Number).filter(Number.isInteger)
}

interface Stat {
  readonly state: string
  readonly parent: number
  readonly threads: number
}

function stat(pid: number): Stat | undefined {
  try {
    // "pid (name) state parent …", and the name may hold anything: proc(5), fields 3, 4 and 20.
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return { state: fields[0] ?? '', parent: Number(fields[1]), threads: Number(fields[17]) }
  } catch {
    return undefined
  }
}
