// How long a process's event loop did not run: what no library in it can make up for. Next: load-worker.ts.

const TICK_MS = 5
/** Timers are this late by themselves. */
const USUAL_MS = 2

/** Measures from its construction on. */
export class LoopWatch {
  #lost = 0
  #tickedAt = performance.now()

  constructor() {
    setInterval(() => {
      const now = performance.now()
      this.#lost += late(now - this.#tickedAt)
      this.#tickedAt = now
    }, TICK_MS).unref()
  }

  /** Ms lost so far; the difference of two readings is what was lost between them. */
  lostMs(): number {
    return this.#lost + late(performance.now() - this.#tickedAt)
  }
}

function late(sinceMs: number): number {
  const overdueMs = sinceMs - TICK_MS
  return overdueMs > USUAL_MS ? overdueMs : 0
}
