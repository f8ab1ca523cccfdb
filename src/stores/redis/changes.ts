// Changing a counter by a function of its record. Promise: what is written was made of what was there, and an entry is made once.
// Next: swap.lua, the server's part; ../update.ts for what is promised.

import { StoreError } from '../../core/errors.ts'
import type { LimitSet } from '../../core/limit-set.ts'
import { formatRecord, heldStates, keepUntil, parseRecord } from '../record.ts'
import type { Change, Entry, Updated } from '../update.ts'
import type { RedisConnection } from './connection.ts'
import { Script } from './script.ts'
import swapScript from './swap.lua'

/** So often a counter may change between being read and being written. */
const MOST_ATTEMPTS = 20

interface Place {
  readonly store: string
  readonly key: string
  /** A tests' time; undefined for the server's. */
  readonly now: (() => number) | undefined
}

/** Reads and writes counters of one store. */
export class Changes {
  readonly #script = new Script(swapScript)

  /** See `UpdatableStore`. */
  async update(
    connection: RedisConnection,
    { store, key, now }: Place,
    set: LimitSet,
    change: Change,
    entry: Entry | undefined,
  ): Promise<Updated> {
    const keys = entry === undefined ? [key] : [key, entryKey(key, entry.writer)]
    const ask = async (...args: string[]): Promise<readonly [now: number, text: string, last: number, written: boolean]> => {
      const sent = ['', `${keys.length}`, ...keys, `${now?.() ?? ''}`, ...args]
      const reply = await this.#script.run((name, all) => connection.send(name, all, key), sent, args.length === 0)
      const [at, found, last, written] = reply as readonly unknown[]
      return [Number(at), String(found), Number(last), Number(written) === 1]
    }
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
      const [at, found, last] = await ask()
      const record = parseRecord(set, plainText(found), at)
      const answer = (outcome: Updated['outcome']): Updated => {
        return { outcome, states: heldStates(record, set, at) ?? set.limits.map(() => []), now: at }
      }
      if (entry !== undefined && last >= entry.sequence) return answer('already')
      if (!change(record, at)) return answer('unchanged')
      const keep = `${Math.max(1, keepUntil(record, set, at) - at)}`
      const [, , , written] = await ask(found, formatRecord(record), keep, `${entry?.sequence ?? 0}`)
      if (written) return answer('changed')
    }
    throw new StoreError(store, 'a counter kept changing while it was to be updated', { kind: 'not_executed' })
  }
}

/** Beside the counter, in its slot of a cluster. */
function entryKey(key: string, writer: string): string {
  return key.includes('{') ? `${key}#${writer}` : `{${key}}#${writer}`
}

/** A stored text as ../record.ts has it: see take.lua for the short form of a sliding window. */
export function plainText(text: string): string {
  const [, newest, older] = /^=\d+,(\d+,\d+):([\d,]*)$/.exec(text) ?? []
  if (newest === undefined) return text
  return older === '' ? newest : `${older},${newest}`
}
