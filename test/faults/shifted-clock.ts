// A server's clock, moved while it runs. Promise: the server is the real one; only what the system tells it the time is goes ahead or behind
// by as much as is said, at once. Takes a C compiler. Next: clock.fault.ts.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findProgram } from '../servers/programs.ts'
import { runFolder } from '../servers/run-folder.ts'

/** Loaded before the C library, by which Redis asks for the time. Ms to add are in a file, which both see as memory. */
const SOURCE = `
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static volatile long long *ahead_ms;
__attribute__((constructor)) static void begin(void) {
  const char *name = getenv("AHEAD_MS_FILE");
  int file = name ? open(name, O_RDONLY) : -1;
  void *shared = file < 0 ? MAP_FAILED : mmap(0, sizeof *ahead_ms, PROT_READ, MAP_SHARED, file, 0);
  if (shared != MAP_FAILED) ahead_ms = shared;
}
int gettimeofday(struct timeval *now, void *zone) {
  struct timespec real;
  long long ahead = ahead_ms ? *ahead_ms : 0, us;
  (void)zone;
  syscall(SYS_clock_gettime, CLOCK_REALTIME, &real);
  us = real.tv_sec * 1000000LL + real.tv_nsec / 1000 + ahead * 1000;
  now->tv_sec = us / 1000000;
  now->tv_usec = us % 1000000;
  return 0;
}
`

const COMPILER = 'cc'

/** Whether a clock can be shifted here. */
export function canShift(): boolean {
  return process.platform === 'linux' && findProgram(COMPILER) !== undefined
}

/** See the head of this file. */
export class ShiftedClock {
  /** What a server must have in its environment. */
  readonly env: Readonly<Record<string, string>>
  readonly #folder = mkdtempSync(join(runFolder(), 'clock-'))
  readonly #file = join(this.#folder, 'ahead')

  constructor() {
    const library = join(this.#folder, 'clock.so')
    execFileSync(COMPILER, ['-shared', '-fPIC', '-O1', '-Wall', '-Werror', '-x', 'c', '-o', library, '-'], { input: SOURCE })
    writeFileSync(this.#file, Buffer.alloc(8))
    this.env = { LD_PRELOAD: library, AHEAD_MS_FILE: this.#file }
  }

  /** @param aheadMs what the server's clock is to show more than the machine's; whole, may be negative */
  set(aheadMs: number): void {
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64LE(BigInt(aheadMs))
    // Not made anew: whoever has it as memory sees it at once.
    writeFileSync(this.#file, bytes, { flag: 'r+' })
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }
}
