// PostgreSQL and MariaDB refuse to be run by root. Next: own-server.ts, which starts a server under its owner.

import { readFileSync } from 'node:fs'
import type { Owner } from './own-server.ts'

/** Who runs a database: undefined (this process's user) unless that is root, then the named user, or nobody where there is none. */
export function databaseOwner(name: 'postgres' | 'mysql'): Owner | undefined {
  if (process.getuid?.() !== 0) return undefined
  const [, uid, gid] = new RegExp(`^${name}:[^:]*:(\\d+):(\\d+):`, 'm').exec(readFileSync('/etc/passwd', 'utf8')) ?? []
  return { uid: Number(uid ?? 65_534), gid: Number(gid ?? 65_534) }
}
