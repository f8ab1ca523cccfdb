// A question on its way, and those who wait for its answer. Promise: askers who share a question are answered as if one by one; who no longer
// waits is not asked for. Next: remote.ts, which sends them.

import type { LimitSet } from '../core/limit-set.ts'
import type { Waiter } from './deadlines.ts'
import type { Found, Question } from './remote-driver.ts'
import { type Mode, READING_WIDTH, type Taken } from './store.ts'

/** A question and who asked. A class, as one is made for almost every decision. */
export class Asking implements Question {
  readonly set: LimitSet
  readonly key: string
  readonly cost: number
  readonly mode: Mode
  readonly takenAt: number | undefined
  count = 1
  readonly identity: string
  readonly askedAt: number
  waiters: Waiter<Taken>[]

  constructor(
    set: LimitSet,
    key: string,
    cost: number,
    mode: Mode,
    takenAt: number | undefined,
    identity: string,
    askedAt: number,
    waiter: Waiter<Taken>,
  ) {
    this.set = set
    this.key = key
    this.cost = cost
    this.mode = mode
    this.takenAt = takenAt
    this.identity = identity
    this.askedAt = askedAt
    this.waiters = [waiter]
  }
}

/** Whether all who ask still wait for the answer. */
export function isWanted({ waiters }: Asking): boolean {
  for (const waiter of waiters) if (waiter.settled) return false
  return true
}

/** Leaves those who do not wait out, as they are not charged; whether anybody is left. */
export function onlyWanted(asking: Asking): boolean {
  asking.waiters = asking.waiters.filter((waiter) => !waiter.settled)
  asking.count = asking.waiters.length
  return asking.count > 0
}

/** The answer to the i-th of those who share a question: the first ones are granted, each after the charge of those before it. */
export function takenBy(question: Question, found: Found, i: number): Taken {
  const { now, bannedForMs } = found
  const granted = i < found.granted
  const after = found.granted - 1 - i
  if (!granted || after === 0 || question.mode !== 'take') {
    return { granted, now, bannedForMs, readings: found.readings, source: 'primary' }
  }
  // Quicker than Float64Array.from, and one is made for each asker of a hot key.
  const readings: number[] = []
  for (let at = 0; at < found.readings.length; at++) readings.push(found.readings[at] as number)
  for (const [n, limit] of question.set.limits.entries()) {
    const at = n * READING_WIDTH + 1
    readings[at] = (readings[at] as number) - after * question.cost * (limit.kind === 'bucket' ? limit.unit : 1)
  }
  return { granted, now, bannedForMs, readings, source: 'primary' }
}
