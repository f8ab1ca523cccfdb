// Counts over time, put together from the chunks they arrive in. Promise: a chunk that comes again replaces itself; what is older than the
// chart is dropped. Next: live.ts.

import type { Chunk } from '../data.ts'

/** The scales there are. */
export type Unit = 'second' | 'minute'

/** What a chart is drawn from: columns of one length. */
export interface Columns {
  /** Epoch seconds. */
  readonly at: readonly number[]
  readonly allowed: readonly number[]
  readonly refused: readonly number[]
  readonly wouldRefuse: readonly number[]
}

/** Chunks by their name in messages, such as `second/59012`. */
export type Chunks = ReadonlyMap<string, Chunk>

export const NO_CHUNKS: Chunks = new Map()

/** How long a chart is, in ms. */
export const LENGTH_MS: Readonly<Record<Unit, number>> = { second: 300_000, minute: 86_400_000 }

/** Takes the chunks out of a message; the rest of it is given back. */
export function withChunks<T extends object>(
  before: Chunks,
  message: T,
  now: number,
): { readonly chunks: Chunks; readonly rest: T } {
  const chunks = new Map(before)
  const rest = Object.entries(message).filter(([name, value]) => {
    if (!/^(second|minute)\/\d+$/.test(name)) return true
    chunks.set(name, value as Chunk)
    return false
  })
  for (const [name, { at, stepMs, allowed }] of chunks) {
    const unit: Unit = name.startsWith('second') ? 'second' : 'minute'
    if (at + stepMs * allowed.length < now - LENGTH_MS[unit]) chunks.delete(name)
  }
  return { chunks, rest: Object.fromEntries(rest) as T }
}

/** One scale's chunks in their order, without the second or minute that is not over. */
export function columnsOf(chunks: Chunks, unit: Unit, now: number): Columns {
  const own = [...chunks].filter(([name]) => name.startsWith(unit)).map(([, chunk]) => chunk)
  return columnsOfChunks(
    own.toSorted((a, b) => a.at - b.at),
    now,
  )
}

/** The same of chunks that are at hand. */
export function columnsOfChunks(chunks: readonly Chunk[], now: number): Columns {
  const columns = { at: [] as number[], allowed: [] as number[], refused: [] as number[], wouldRefuse: [] as number[] }
  for (const { at, stepMs, allowed, refused, wouldRefuse } of chunks) {
    for (let i = 0; i < allowed.length; i++) {
      const begins = at + i * stepMs
      if (begins + stepMs > now) break
      columns.at.push(begins / 1000)
      columns.allowed.push(allowed[i] as number)
      columns.refused.push(refused[i] as number)
      columns.wouldRefuse.push(wouldRefuse[i] as number)
    }
  }
  return columns
}

/** The sum of a column, or of its last so many. */
export function sumOf(column: readonly number[], last = column.length): number {
  return column.slice(-last).reduce((sum, count) => sum + count, 0)
}
