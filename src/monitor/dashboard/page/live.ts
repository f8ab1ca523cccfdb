// What the page knows, kept up to date. Promise: one connection while the page is looked at, none while it is not; when it is lost it comes back,
// and when it is refused the page says so. Next: charts.ts, app.tsx.

import type { Chunk, DashboardData, Message } from '../data.ts'
import { type Chunks, NO_CHUNKS, withChunks } from './charts.ts'
import { addressOf, token } from './place.ts'

/** How the page is connected: `polling` when too many others are. */
export type Status = 'connecting' | 'live' | 'polling' | 'paused' | 'lost' | 'refused'

/** What the page knows. */
export interface Known {
  readonly status: Status
  readonly data: DashboardData | undefined
  readonly chunks: Chunks
}

const POLL_MS = 5000
const RETRY_MS = 3000

/** The page's line to the process. */
export class Live {
  #known: Known = { status: 'connecting', data: undefined, chunks: NO_CHUNKS }
  readonly #changed: (known: Known) => void
  #events: EventSource | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  #isPaused = false

  constructor(changed: (known: Known) => void) {
    this.#changed = changed
    document.addEventListener('visibilitychange', () => this.#reconsider())
    this.#reconsider()
  }

  get known(): Known {
    return this.#known
  }

  pause(isPaused: boolean): void {
    this.#isPaused = isPaused
    this.#reconsider()
  }

  /** Lifts a ban. Resolves to nothing, or to why it could not. */
  async unban(id: string): Promise<string | undefined> {
    try {
      const answer = await fetch(addressOf(`api/unban?id=${encodeURIComponent(id)}`), {
        method: 'POST',
        headers: { 'X-Dashboard-Token': token },
      })
      if (!answer.ok) return (await answer.text()).trim()
    } catch {
      return 'The server does not answer.'
    }
    const { data } = this.#known
    if (data !== undefined) {
      const rows = data.bans.rows.filter((ban) => ban.id !== id)
      this.#set({ data: { ...data, bans: { rows, count: data.bans.count - (data.bans.rows.length - rows.length) } } })
    }
    return undefined
  }

  #reconsider(): void {
    this.#disconnect()
    if (this.#isPaused) this.#set({ status: 'paused' })
    else if (!document.hidden) this.#connect()
  }

  #disconnect(): void {
    this.#events?.close()
    this.#events = undefined
    clearTimeout(this.#timer)
  }

  #connect(): void {
    if (this.#known.data === undefined) this.#set({ status: 'connecting' })
    const events = new EventSource(addressOf('api/events'))
    this.#events = events
    events.addEventListener('all', ({ data }: MessageEvent<string>) => this.#take(data, true))
    events.addEventListener('change', ({ data }: MessageEvent<string>) => this.#take(data, false))
    events.addEventListener('error', () => {
      if (events.readyState !== EventSource.CLOSED) this.#set({ status: 'lost' })
      else void this.#poll()
    })
  }

  /** Without events: asks once, which also tells why there are none. */
  async #poll(): Promise<void> {
    this.#disconnect()
    let wait = POLL_MS
    try {
      const answer = await fetch(addressOf('api/snapshot'))
      if (answer.status === 401 || answer.status === 403) {
        this.#set({ status: 'refused' })
        return
      }
      if (!answer.ok) throw new Error(answer.statusText)
      this.#take(await answer.text(), true)
      this.#set({ status: 'polling' })
    } catch {
      wait = RETRY_MS
      this.#set({ status: 'lost' })
    }
    if (this.#isPaused || document.hidden) return
    this.#timer = setTimeout(() => this.#connect(), wait)
  }

  #take(json: string, isAll: boolean): void {
    const message = JSON.parse(json) as Message
    const now = message.now ?? this.#known.data?.now ?? 0
    const { chunks, rest } = withChunks(isAll ? NO_CHUNKS : this.#known.chunks, message, now)
    const data = { ...(isAll ? undefined : this.#known.data), ...rest } as DashboardData
    this.#set({ status: 'live', data, chunks })
  }

  #set(change: Partial<Known>): void {
    this.#known = { ...this.#known, ...change }
    this.#changed(this.#known)
  }
}

/** The chart of one policy or path. */
export async function timelineOf(query: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Chunk> {
  const answer = await fetch(addressOf(`api/timeline?${new URLSearchParams(query).toString()}`), { signal })
  if (!answer.ok) throw new Error(answer.statusText)
  return (await answer.json()) as Chunk
}
