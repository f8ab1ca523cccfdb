// Asking a server again that has not executed a question. Promise: whoever asks again rests in between, and stops in time to tell why it was
// in vain. Next: the stores that do it, in sqlite/, postgres/ and mysql/.

/** A share of the deadline is left for telling why it was missed. */
const PATIENCE = 0.9

/** For how many ms of a deadline something is tried again. */
export function patienceOf(deadlineMs: number): number {
  return deadlineMs * PATIENCE
}

/** Two turns of the event loop, then longer, and never twice the same: who waits meets the others' pauses. */
export function pause(attempt: number): Promise<void> {
  return new Promise((resolve) => {
    if (attempt < 2) setImmediate(resolve)
    else setTimeout(resolve, 1 + 2 * Math.random())
  })
}
