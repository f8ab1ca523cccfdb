// What the page shows, taken from a live view. Promise: bounded in size whatever is in the view, and counted nowhere but there; each piece can
// be sent on its own. Next: data.ts (the shape), changes.ts.

import { shortHex } from '../../http/hash-secret.ts'
import { TABLES, type Table } from '../live-tables.ts'
import type { LiveView, TimelineQuery } from '../live-view.ts'
import { sumOf } from '../results.ts'
import type { Point } from '../series.ts'
import { type Pieces, joined, piecesOf } from './changes.ts'
import type { BanRow, Chunk, DashboardData, Lately, Rows } from './data.ts'

const MOST_ROWS = 50
const MOST_BANS = 200
const MOST_HISTORY = 60
const LONGEST_TEXT = 256
/** Points per chunk: what is sent again with each new point. */
const CHUNK = 30
const STEP_MS = { second: 1000, minute: 60_000 } as const
/** The last minute, in steps of so many seconds. */
const LATELY_SECONDS = 60
const LATELY_STEP = 4

/** A live view, as the page sees it. */
export class Shown {
  readonly #view: LiveView

  constructor(view: LiveView) {
    this.#view = view
  }

  /** All of it, in pieces that change on their own. */
  pieces(): Pieces {
    const pieces = new Map(piecesOf(this.#data()))
    for (const unit of ['second', 'minute'] as const) {
      for (const chunk of chunksOf(this.#view.timeline(unit), STEP_MS[unit])) {
        pieces.set(`${unit}/${Math.floor(chunk.at / (CHUNK * chunk.stepMs))}`, JSON.stringify(chunk))
      }
    }
    return pieces
  }

  /** All of it as one JSON text. */
  json(): string {
    return joined(this.pieces())
  }

  /** The chart of one policy or path, as JSON; undefined for a unit that is none. */
  timeline(unit: string, of: TimelineQuery): string | undefined {
    return unit === 'second' || unit === 'minute'
      ? JSON.stringify(chunkOf(this.#view.timeline(unit, of), STEP_MS[unit]))
      : undefined
  }

  /** A table as CSV; undefined for a name that is none. */
  csv(table: string): string | undefined {
    return (TABLES as readonly string[]).includes(table) ? this.#view.csv(table as Table) : undefined
  }

  /** Lifts a ban. False for one that is over, or never was. */
  async unban(id: string): Promise<boolean> {
    const found = this.#view.snapshot().bans.find(({ policy, key }) => idOf(policy, key) === id)
    return found !== undefined && (await this.#view.lift(found.policy, found.key))
  }

  #data(): DashboardData {
    const { at, since, totals, policies, paths, sources, stores, storeHistory, bans, warnings, errors } = this.#view.snapshot()
    return {
      now: at,
      since,
      totals,
      policies: rowsOf(policies, (policy) => ({ ...policy, lately: this.#lately({ policy: policy.name }) })),
      paths: rowsOf(paths, (path) => ({ ...path, pattern: short(path.pattern), lately: this.#lately({ path: path.pattern }) })),
      sources,
      offenders: this.#view.offenders(MOST_ROWS),
      wouldBeOffenders: this.#view.wouldBeOffenders(MOST_ROWS),
      stores,
      storeHistory: storeHistory.slice(-MOST_HISTORY),
      bans: {
        rows: bans.slice(0, MOST_BANS).map((ban): BanRow => ({ ...ban, key: short(ban.key), id: idOf(ban.policy, ban.key) })),
        count: bans.length,
      },
      warnings,
      errors,
    }
  }

  #lately(of: TimelineQuery): Lately {
    const points = this.#view.timeline('second', of, LATELY_SECONDS)
    const steps = Array.from({ length: Math.ceil(points.length / LATELY_STEP) }, (_, i) =>
      points.slice(i * LATELY_STEP, (i + 1) * LATELY_STEP),
    )
    const sums = (read: (point: Point) => number): number[] =>
      steps.map((step) => step.reduce((sum, point) => sum + read(point), 0))
    return { allowed: sums(allowed), refused: sums(refused) }
  }
}

/** The rows that have counted most. */
function rowsOf<T extends { readonly totals: Point | DashboardData['totals'] }, Row>(
  all: readonly T[],
  row: (one: T) => Row,
): Rows<Row> {
  const most = all.toSorted((a, b) => sumOf(b.totals) - sumOf(a.totals)).slice(0, MOST_ROWS)
  return { rows: most.map(row), count: all.length }
}

/** Cut where a chunk's number, counted from 1970, changes: so a chunk that is over stays as it is. */
function chunksOf(points: readonly Point[], stepMs: number): readonly Chunk[] {
  const chunks: Point[][] = []
  for (const point of points) {
    if (chunks.length === 0 || point.at % (CHUNK * stepMs) === 0) chunks.push([])
    chunks.at(-1)?.push(point)
  }
  return chunks.map((chunk) => chunkOf(chunk, stepMs))
}

function chunkOf(points: readonly Point[], stepMs: number): Chunk {
  return {
    at: points[0]?.at ?? 0,
    stepMs,
    allowed: points.map(allowed),
    refused: points.map(refused),
    wouldRefuse: points.map((point) => point.would_refuse),
  }
}

function allowed(point: Point): number {
  return point.granted + point.would_refuse + point.exempt + point.let_through
}

function refused(point: Point): number {
  return point.refused + point.unavailable
}

function idOf(policy: string, key: string): string {
  return shortHex(`${policy}\n${key}`)
}

function short(text: string): string {
  return text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT - 1)}…` : text
}
