// Live data as server-sent events, for a bounded number of listeners. Promise: nothing runs while nobody listens; what all listeners get is made
// once per tick; a listener that does not keep up gets less and never piles up; one that leaves is forgotten at once. Next: changes.ts.

import type { Scheduler } from '../../core/scheduler.ts'
import { type Pieces, changesOf, joined } from './changes.ts'

/** What the feed is made of. */
export interface FeedOptions {
  /** What there is to see now, in pieces that change on their own. */
  readonly pieces: () => Pieces
  readonly intervalMs: number
  readonly maxListeners: number
  readonly scheduler: Scheduler
}

/** A listener is sent away after so long, and comes back by itself: whether it still may is asked anew. */
const LONGEST_MS = 600_000
/** A listener that has taken nothing for so many ticks is gone. */
const PATIENCE = 30
/** What browsers wait before they come back. */
const RETRY_MS = 2000

interface Listener {
  readonly controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>
  readonly since: number
  /** Ticks that it has not had room for; afterwards it is told all. */
  missed: number
}

/** The listeners, and the one timer that serves them. */
export class Feed {
  readonly #options: FeedOptions
  readonly #listeners = new Set<Listener>()
  readonly #encoder = new TextEncoder()
  #told: Pieces = new Map()
  #stopTimer: (() => void) | undefined
  #isClosed = false

  constructor(options: FeedOptions) {
    this.#options = options
  }

  /** How many listen. */
  get size(): number {
    return this.#listeners.size
  }

  /** A stream of all there is and then of what changes; undefined when there are too many listeners, or the feed is closed. */
  open(): ReadableStream<Uint8Array<ArrayBuffer>> | undefined {
    if (this.#isClosed || this.#listeners.size >= this.#options.maxListeners) return undefined
    const { pieces, scheduler } = this.#options
    const all = pieces()
    if (this.#listeners.size === 0) this.#told = all
    let listener: Listener
    return new ReadableStream({
      start: (controller) => {
        listener = { controller, since: scheduler.now(), missed: 0 }
        this.#listeners.add(listener)
        this.#send(listener, `retry: ${RETRY_MS}\n${eventOf('all', joined(all))}`)
        this.#stopTimer ??= this.#later()
      },
      cancel: () => this.#forget(listener),
    })
  }

  /** Sends everybody away. */
  close(): void {
    this.#isClosed = true
    for (const listener of this.#listeners) this.#end(listener)
  }

  #later(): () => void {
    return this.#options.scheduler.after(this.#options.intervalMs, () => {
      this.#stopTimer = undefined
      try {
        this.#tick()
      } catch {
        // A store of the app's that cannot be looked at. Those who come back are told why by whoever answers them.
        for (const listener of this.#listeners) this.#end(listener)
      }
      if (this.#listeners.size > 0) this.#stopTimer = this.#later()
    })
  }

  #tick(): void {
    const pieces = this.#options.pieces()
    // Also when nothing has changed: the time has, and those between see that the line is in use.
    const changed = eventOf('change', joined(changesOf(this.#told, pieces)))
    this.#told = pieces
    let all: string | undefined
    const now = this.#options.scheduler.now()
    for (const listener of this.#listeners) {
      if (now - listener.since >= LONGEST_MS) this.#end(listener)
      else if ((listener.controller.desiredSize ?? 0) <= 0) {
        if (++listener.missed > PATIENCE) this.#end(listener)
      } else if (listener.missed > 0) {
        listener.missed = 0
        this.#send(listener, (all ??= eventOf('all', joined(pieces))))
      } else this.#send(listener, changed)
    }
  }

  #send({ controller }: Listener, text: string): void {
    controller.enqueue(this.#encoder.encode(text))
  }

  #end(listener: Listener): void {
    this.#forget(listener)
    listener.controller.close()
  }

  #forget(listener: Listener): void {
    this.#listeners.delete(listener)
    if (this.#listeners.size > 0) return
    this.#stopTimer?.()
    this.#stopTimer = undefined
    this.#told = new Map()
  }
}

/** JSON has no line break in it, so it is one line of data. */
function eventOf(name: string, json: string): string {
  return `event: ${name}\ndata: ${json}\n\n`
}
