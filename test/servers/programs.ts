// Where the programs that tests start are: servers, and a browser. Promise: what the machine lacks is installed by one apt-get call per run, by root on Debian alone;
// otherwise the error says what to install. No service is started by it. Next: own-server.ts, which starts a program.

import { execFile } from 'node:child_process'
import { accessSync, constants, existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'

/** Program → the Debian packages that bring it. Valkey has none: it is used where it is, and nowhere asked for. */
const PACKAGES = {
  'redis-server': ['redis-server'],
  'valkey-server': [],
  postgres: ['postgresql'],
  initdb: ['postgresql'],
  mariadbd: ['mariadb-server-core'],
  'mariadb-install-db': ['mariadb-server-core', 'mariadb-client-core'],
  chromium: ['chromium'],
} as const satisfies Record<string, readonly string[]>

export type ProgramName = keyof typeof PACKAGES

export type ServerKind = 'redis' | 'redis-cluster' | 'valkey' | 'postgres' | 'mariadb'

/** The environment variable that names a server which is there already; the tests then use it and start none. */
export const SERVER_VARIABLES: Readonly<Record<ServerKind, string>> = {
  redis: 'RATELIMIT_TEST_REDIS_URL',
  'redis-cluster': 'RATELIMIT_TEST_REDIS_CLUSTER_URLS',
  valkey: 'RATELIMIT_TEST_VALKEY_URL',
  postgres: 'RATELIMIT_TEST_POSTGRES_URL',
  mariadb: 'RATELIMIT_TEST_MYSQL_URL',
}

/** The address of the main process's control, set for everything a test run starts (control.ts). */
export const CONTROL_VARIABLE = 'RATELIMIT_TEST_CONTROL'

/** A server that cannot be had here; the message says why and what would help. */
export class MissingServer extends Error {}

/** The path of a program, or undefined. Looks into PATH, the sbin folders and PostgreSQL's own folders, the newest version first. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin', ...postgresFolders()]
  return folders
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find(isProgram)
}

/** The path of a program, installed if need be. Throws `MissingServer`. */
export async function needProgram(name: ProgramName): Promise<string> {
  const found = findProgram(name)
  if (found !== undefined) return found
  const control = process.env[CONTROL_VARIABLE]
  // Several workers may miss something at once: the main process installs for all.
  const problem = control === undefined ? await installMissing() : await (await fetch(`${control}/install`)).text()
  const installed = findProgram(name)
  if (installed !== undefined) return installed
  const packages = PACKAGES[name].join(' ')
  throw new MissingServer(
    `${name} is not installed${packages && ` (Debian: apt-get install ${packages})`}${problem && `: ${problem}`}`,
  )
}

let installing: Promise<string> | undefined

/** Installs all that is missing, once per process. Resolves to an empty text, or to why it could not. */
export function installMissing(): Promise<string> {
  installing ??= install().catch((error: unknown) => lastWords(error))
  return installing
}

async function install(): Promise<string> {
  const missing = (Object.keys(PACKAGES) as ProgramName[]).filter((name) => findProgram(name) === undefined)
  const packages = [...new Set(missing.flatMap((name) => PACKAGES[name]))]
  if (packages.length === 0) return ''
  if (process.getuid?.() !== 0 || !existsSync('/etc/debian_version')) return 'only root on Debian installs it by itself'
  if (!(await areKnown(packages))) await apt('update')
  const known: string[] = []
  for (const name of packages) if (await areKnown([name])) known.push(name)
  process.stderr.write(`test servers: installing ${known.join(', ')}\n`)
  await withoutServices(async () => {
    try {
      await apt('install', ...known)
    } catch {
      // Lists that are older than the mirror name files it no longer has.
      await apt('update')
      await apt('install', ...known)
    }
  })
  return ''
}

async function apt(...args: readonly string[]): Promise<void> {
  const options = ['-qq', '-y', '-o', 'DPkg::Lock::Timeout=120', '--no-install-recommends']
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const done = promisify(execFile)('apt-get', [...options, ...args], { env, timeout: 300_000 })
  done.child.stdin?.end()
  await done
}

async function areKnown(packages: readonly string[]): Promise<boolean> {
  return promisify(execFile)('apt-cache', ['show', '--quiet', ...packages]).then(
    () => true,
    () => false,
  )
}

const SERVICE_POLICY = '/usr/sbin/policy-rc.d'

/** Debian starts what it installs unless this file says no (invoke-rc.d(8)). One that is there is left as it is. */
async function withoutServices(work: () => Promise<void>): Promise<void> {
  if (existsSync(SERVICE_POLICY)) return work()
  writeFileSync(SERVICE_POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    await work()
  } finally {
    rmSync(SERVICE_POLICY, { force: true })
  }
}

function postgresFolders(): string[] {
  const root = '/usr/lib/postgresql'
  if (!existsSync(root)) return []
  return readdirSync(root)
    .toSorted((a, b) => Number(b) - Number(a))
    .map((version) => join(root, version, 'bin'))
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

function lastWords(error: unknown): string {
  const { stderr, message } = error as { stderr?: string; message: string }
  return (stderr?.trim() || message).slice(-500)
}
