// Plays a tape on a store through a limiter and compares every answer.
// Promise: an answer that differs is an AssertionError that names the tape, the step and the figure. Next: tapes.ts.

import type { ManualClock } from '../core/clock.ts'
import type { Decision } from '../core/decision.ts'
import { buildLimiter } from '../limiter/limiter.ts'
import type { Store } from '../stores/store.ts'
import { assertSame } from './assertion-error.ts'
import { type Tape, type TapeCall, type TapeStep, TAPE_START_MS } from './tapes.ts'

/** The tape's own key. It is one that a store must not trip over. */
const KEY = 'tape: key|with%separators\u0000'

/**
 * Plays one tape.
 * @param clock the store's clock; it is set to the tape's start
 * @param group keeps this play's counters apart from others on the same store
 * @throws AssertionError at the first answer that differs
 */
export async function playTape(store: Store, clock: ManualClock, tape: Tape, group = tape.name): Promise<void> {
  clock.set(tape.startMs ?? TAPE_START_MS)
  const limiter = buildLimiter<Store, string>({ ...tape.options, store, name: 'tape', group })
  const decisions: (Decision | undefined)[] = []
  for (const [index, step] of tape.steps.entries()) {
    const [advanceMs, call] = step
    clock.advance(advanceMs)
    const decision = await perform(call)
    decisions.push(decision)
    if (decision !== undefined) compare(`tape "${tape.name}", step ${index} ${JSON.stringify(call)}`, step, decision)
  }

  async function perform(call: TapeCall): Promise<Decision | undefined> {
    if (call === 'check') return limiter.check(KEY)
    if (call === 'peek') return limiter.peek(KEY)
    if (call === 'reset') await limiter.reset(KEY)
    else if (call === 'unban') await limiter.unban(KEY)
    else if ('ban' in call) await limiter.ban(KEY, call.ban)
    else if ('refund' in call) await limiter.refund(KEY, { cost: call.refund })
    else if ('refundOf' in call) await limiter.refund(KEY, { of: decisions[call.refundOf] as Decision })
    else {
      const key = call.key ?? KEY
      const rate = call.rate === undefined ? {} : { rate: call.rate }
      return 'check' in call ? limiter.check(key, { cost: call.check, ...rate }) : limiter.peek(key, { cost: call.peek, ...rate })
    }
    return undefined
  }
}

function compare(where: string, step: TapeStep, decision: Decision): void {
  const [, , allowed, remaining, resetAfterMs, retryAfterMs] = step
  if (allowed !== undefined) assertSame(`${where}: allowed`, decision.allowed, allowed)
  if (remaining !== undefined) assertSame(`${where}: remaining`, decision.remaining, remaining)
  if (resetAfterMs !== undefined) assertSame(`${where}: resetAfterMs`, decision.resetAfterMs, resetAfterMs)
  if (allowed === true || retryAfterMs !== undefined) {
    assertSame(`${where}: retryAfterMs`, decision.retryAfterMs, retryAfterMs === 'never' ? undefined : retryAfterMs)
  }
}
