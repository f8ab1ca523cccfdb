// How small could a limit be? The peak of every client under no limit at all tells. Promise: exact. A limit of N refuses a client
// if and only if its peak is above N, as until the first refusal both have counted the same. Next: replay.ts.

import { leavesAt, subWindowStart, windowEnd, windowStart } from '../algorithms/window.ts'
import type { Limit } from '../core/limit.ts'
import { ceilDiv } from '../core/whole.ts'
import { grown } from './replay-clients.ts'

/** The most that each client ever held of a limit. */
export interface Peaks {
  /** Counts a request. Instants never go back. */
  add(client: number, now: number): void
  /** The smallest limit that refuses something to at most `spared` of so many clients. For a bucket its size, else N. */
  smallest(clients: number, spared: number): number
}

/** What limits of equal text have in common: their peaks are the same. */
export function peaksKey({ kind, scope, drain }: Limit): string {
  return kind === 'bucket' ? `${scope} ${drain}` : scope
}

/** Builds the peaks of a limit's law. */
export function buildPeaks(limit: Limit): Peaks {
  if (limit.kind === 'bucket') return new BucketPeaks(limit)
  return limit.kind === 'fixed' ? new FixedPeaks(limit) : new SlidingPeaks(limit)
}

abstract class ClientPeaks implements Peaks {
  protected readonly limit: Limit
  protected peak = new Float64Array(1024)

  constructor(limit: Limit) {
    this.limit = limit
  }

  abstract add(client: number, now: number): void
  protected abstract grow(): void

  smallest(clients: number, spared: number): number {
    const sorted = this.peak.subarray(0, clients).toSorted()
    return sorted[Math.max(0, clients - 1 - spared)] ?? 0
  }

  /** Makes room for a client, who is never more than one beyond those before. */
  protected reach(client: number): void {
    if (client < this.peak.length) return
    this.peak = grown(this.peak)
    this.grow()
  }
}

class BucketPeaks extends ClientPeaks {
  #stamp = new Float64Array(1024)
  #level = new Float64Array(1024)

  override add(client: number, now: number): void {
    this.reach(client)
    const { drain, unit } = this.limit
    const left = (this.#level[client] as number) - (now - (this.#stamp[client] as number)) * drain
    const level = (left > 0 ? left : 0) + unit
    this.#stamp[client] = now
    this.#level[client] = level
    if (level > (this.peak[client] as number)) this.peak[client] = level
  }

  override smallest(clients: number, spared: number): number {
    return ceilDiv(super.smallest(clients, spared), this.limit.unit)
  }

  protected override grow(): void {
    this.#stamp = grown(this.#stamp)
    this.#level = grown(this.#level)
  }
}

class FixedPeaks extends ClientPeaks {
  #window = new Float64Array(1024)
  #count = new Float64Array(1024)
  #start = 0
  #end = 0

  override add(client: number, now: number): void {
    this.reach(client)
    // All clients share the windows of the clock and of the calendar.
    if (now >= this.#end) {
      this.#start = windowStart(this.limit, now)
      this.#end = windowEnd(this.limit, this.#start)
    }
    const count = this.#window[client] === this.#start ? (this.#count[client] as number) + 1 : 1
    this.#window[client] = this.#start
    this.#count[client] = count
    if (count > (this.peak[client] as number)) this.peak[client] = count
  }

  protected override grow(): void {
    this.#window = grown(this.#window)
    this.#count = grown(this.#count)
  }
}

/** The entries of all clients stand in one queue in the order of time, so that each leaves when it is due. */
class SlidingPeaks extends ClientPeaks {
  #total = new Float64Array(1024)
  /** The number of each client's newest entry, plus one; entries are numbered from 0 as they come. */
  #newest = new Float64Array(1024)
  #first = 0
  #next = 0
  /** Entry n lies at n modulo the length. */
  #client = new Uint32Array(4096)
  #start = new Float64Array(4096)
  #count = new Uint32Array(4096)

  override add(client: number, now: number): void {
    this.reach(client)
    this.#leave(now)
    const start = subWindowStart(this.limit, now)
    const newest = (this.#newest[client] as number) - 1
    const at = newest % this.#start.length
    if (newest >= this.#first && this.#start[at] === start) this.#count[at] = (this.#count[at] as number) + 1
    else this.#enter(client, start)
    const total = (this.#total[client] as number) + 1
    this.#total[client] = total
    if (total > (this.peak[client] as number)) this.peak[client] = total
  }

  protected override grow(): void {
    this.#total = grown(this.#total)
    this.#newest = grown(this.#newest)
  }

  #leave(now: number): void {
    while (this.#first < this.#next) {
      const at = this.#first % this.#start.length
      if (now < leavesAt(this.limit, this.#start[at] as number)) return
      const client = this.#client[at] as number
      this.#total[client] = (this.#total[client] as number) - (this.#count[at] as number)
      this.#first++
    }
  }

  #enter(client: number, start: number): void {
    if (this.#next - this.#first === this.#start.length) this.#lengthen()
    const at = this.#next % this.#start.length
    this.#client[at] = client
    this.#start[at] = start
    this.#count[at] = 1
    this.#newest[client] = ++this.#next
  }

  #lengthen(): void {
    const old = this.#start.length
    // Twice the same: whatever an entry's number is modulo the new length, it is found there.
    const doubled = <A extends Uint32Array | Float64Array>(array: A): A => {
      const larger = grown(array)
      larger.copyWithin(old, 0, old)
      return larger
    }
    this.#client = doubled(this.#client)
    this.#start = doubled(this.#start)
    this.#count = doubled(this.#count)
  }
}
