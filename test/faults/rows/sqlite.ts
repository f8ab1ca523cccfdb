// What can befall a SQLite file that several processes share. Next: ../row.ts, which plays it.

import { execFileSync } from 'node:child_process'
import { appendFileSync, copyFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { DatabaseSync } from 'node:sqlite'
import { startRedis } from '../../servers.ts'
import { runFolder } from '../../servers/run-folder.ts'
import type { FaultRow, Stage } from '../row.ts'
import { repeatedly } from './repeatedly.ts'

interface Scene {
  readonly file: string
  readonly folder: string
  /** This process's own connection: a second process, for those under load. */
  readonly open: () => DatabaseSync
}

async function stage(inject: (scene: Scene) => ReturnType<Stage['inject']>, { disk = false } = {}): Promise<Stage> {
  const standby = await startRedis()
  const top = mkdtempSync(join(runFolder(), 'sqlite-'))
  const folder = join(top, 'data')
  mkdirSync(folder)
  if (disk) execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', folder])
  const file = join(folder, 'limits.sqlite')
  const opened: DatabaseSync[] = []
  const open = (): DatabaseSync => {
    const database = new DatabaseSync(file)
    opened.push(database)
    return database
  }
  return {
    setups: [
      { name: 'sqlite', stores: [{ kind: 'sqlite', file }] },
      {
        name: 'sqlite + redis',
        stores: [
          { kind: 'sqlite', file },
          { kind: 'redis', url: standby.url, client: 'address' },
        ],
      },
    ],
    inject: () => inject({ file, folder, open }),
    async close() {
      for (const database of opened) database.close()
      if (disk) execFileSync('umount', ['-l', folder])
      rmSync(top, { recursive: true, force: true })
      await standby.stop()
    },
  }
}

/** Whether a small disk can be had, which takes the right to mount one. */
export function canMount(): boolean {
  const folder = mkdtempSync(join(runFolder(), 'sqlite-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', folder], { stdio: 'ignore' })
    execFileSync('umount', [folder])
    return true
  } catch {
    return false
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const locked: FaultRow = {
  fault: 'another process holds the write lock',
  prepare: () =>
    stage(async ({ open }) => {
      const other = open()
      other.exec('PRAGMA busy_timeout = 5000')
      other.exec('BEGIN IMMEDIATE')
      return async () => other.exec('ROLLBACK')
    }),
}

export const BRIEF_SQLITE_ROWS: readonly FaultRow[] = [locked]

/** Until there is no room for another byte. */
function fill(file: string): void {
  for (const size of [65_536, 512]) {
    try {
      for (;;) appendFileSync(file, Buffer.alloc(size))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    }
  }
}

/** Needs {@link canMount}. */
export const FULL_DISK_ROWS: readonly FaultRow[] = [
  {
    fault: 'the disk is full (8 MB)',
    prepare: () =>
      stage(
        async ({ folder, open }) => {
          const other = open()
          // What its log has room for already needs no more.
          while (Number(other.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get()?.['busy']) !== 0);
          const filler = join(folder, 'filler')
          fill(filler)
          return async () => unlinkSync(filler)
        },
        { disk: true },
      ),
  },
]

const AGE_MS = 1500

export const SQLITE_ROWS: readonly FaultRow[] = [
  locked,
  {
    fault: 'another process takes the write lock for 60 ms, every 70 ms',
    answer: 'either',
    prepare: () =>
      stage(async ({ open }) => {
        const other = open()
        other.exec('PRAGMA busy_timeout = 5000')
        return repeatedly(10, async () => {
          other.exec('BEGIN IMMEDIATE')
          await delay(60)
          other.exec('ROLLBACK')
        })
      }),
  },
  {
    fault: 'another process reads for long: no checkpoint',
    answer: 'nothing',
    prepare: () =>
      stage(async ({ open }) => {
        const other = open()
        other.exec('BEGIN')
        other.prepare('SELECT count(*) FROM smart_ratelimit').get()
        return async () => other.exec('ROLLBACK')
      }),
  },
  {
    fault: 'the file is deleted, with all beside it',
    answer: 'either',
    faultMs: 0,
    prepare: () =>
      stage(async ({ file }) => {
        for (const suffix of ['', '-wal', '-shm']) rmSync(file + suffix, { force: true })
        return async () => {}
      }),
  },
  {
    fault: 'the file is replaced by a copy that is 1.5 s old',
    // Each process looks once a second whether it is still the same file.
    apartMs: 1200,
    answer: 'either',
    faultMs: 0,
    prepare: () =>
      stage(async ({ file, open }) => {
        open().exec('PRAGMA wal_checkpoint(TRUNCATE)')
        copyFileSync(file, `${file}.copy`)
        await delay(AGE_MS)
        for (const suffix of ['-wal', '-shm']) rmSync(file + suffix, { force: true })
        renameSync(`${file}.copy`, file)
        return async () => {}
      }),
  },
  {
    fault: 'the table is dropped, and made again',
    prepare: () =>
      stage(async ({ open }) => {
        const other = open()
        other.exec('PRAGMA busy_timeout = 5000')
        other.exec('ALTER TABLE smart_ratelimit RENAME TO elsewhere')
        return async () => other.exec('ALTER TABLE elsewhere RENAME TO smart_ratelimit')
      }),
  },
]
