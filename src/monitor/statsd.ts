// `smart-ratelimit/statsd`: lines of text over UDP, in intervals. Promise: never raises, never waits, and sends a bounded amount: a decision
// pays for the tally alone, and what the network does not take is dropped. Start reading at metric-families.ts for what is measured.

import { type Socket, createSocket } from 'node:dgram'
import { ConfigError } from '../core/errors.ts'
import type { Observer } from '../core/observer.ts'
import { type Scheduler, systemScheduler } from '../core/scheduler.ts'
import { type ExporterOptions, checkWhole, tallyFor } from './exporter.ts'
import { METRICS } from './metric-families.ts'
import type { Tally } from './tally.ts'

export type { ExporterOptions } from './exporter.ts'

/** Options of {@link statsd}. */
export interface StatsdOptions extends ExporterOptions {
  /** Default `127.0.0.1`. */
  readonly host?: string
  /** Default 8125. */
  readonly port?: number
  /** Ms between two reports (default 1000). */
  readonly flushIntervalMs?: number
  /** Bytes of a packet (default 1432: what fits an Ethernet frame). */
  readonly maxPacketBytes?: number
  /** `datadog` puts labels behind the value, `|#policy:api,…` (default); `none` puts their values into the name. */
  readonly tags?: 'datadog' | 'none'
  /** For tests: timers instead of the machine's. */
  readonly scheduler?: Scheduler
}

const OWN = ['host', 'port', 'flushIntervalMs', 'maxPacketBytes', 'tags', 'scheduler']
/** Durations sent in one interval; the rest of them are in the tally's histogram, which StatsD has no form for. */
const MOST_DURATIONS = 64
/** Packets of one report, and packets on their way. */
const MOST_PACKETS = 64

/** What watches and sends; `close` ends it. */
export class StatsdExporter {
  /** For `observers` of single limiters, with `everywhere: false`. */
  readonly observer: Observer
  readonly #tally: Tally
  readonly #prefix: string
  readonly #host: string
  readonly #port: number
  readonly #intervalMs: number
  readonly #packetBytes: number
  readonly #tagged: boolean
  readonly #scheduler: Scheduler
  readonly #closers: readonly (() => void)[]
  /** Counters as they were reported last. */
  readonly #reported = new Map<string, number>()
  #durations: string[] = []
  #socket: Socket | undefined
  #onTheirWay = 0
  #dropped = 0
  #closed = false
  #cancel: () => void

  constructor(options: StatsdOptions) {
    const { prefix = 'ratelimit', host = '127.0.0.1', port = 8125, tags = 'datadog', scheduler = systemScheduler } = options ?? {}
    const { flushIntervalMs = 1000, maxPacketBytes = 1432 } = options
    if (typeof host !== 'string' || !/^[\w.:-]{1,253}$/.test(host))
      throw new ConfigError('statsd.host', 'a host name or an address', host)
    if (tags !== 'datadog' && tags !== 'none') throw new ConfigError('statsd.tags', 'datadog or none', tags)
    if (typeof scheduler?.after !== 'function')
      throw new ConfigError('statsd.scheduler', 'a scheduler { now(), after() }', scheduler)
    this.#prefix = prefix
    this.#host = host
    this.#port = checkWhole(port, 'statsd.port', 1, 65_535)
    this.#intervalMs = checkWhole(flushIntervalMs, 'statsd.flushIntervalMs', 10, 3_600_000)
    this.#packetBytes = checkWhole(maxPacketBytes, 'statsd.maxPacketBytes', 512, 65_507)
    this.#tagged = tags === 'datadog'
    this.#scheduler = scheduler
    const { tally, close } = tallyFor(options, 'statsd', OWN, /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/)
    this.#tally = tally
    this.observer = tally
    this.#closers = [close, tally.listen({ onDuration: (store, ms) => this.#took(store, ms) })]
    // What others have counted before is no part of the first report.
    this.#lines()
    this.#cancel = scheduler.after(this.#intervalMs, () => this.#report())
  }

  /** Packets that were not sent, because the network did not take them or there were too many. */
  get dropped(): number {
    return this.#dropped
  }

  /** Sends what has been counted since the last report. */
  flush(): void {
    try {
      for (const packet of this.#packets([...this.#lines(), ...this.#durations.splice(0)])) this.#send(packet)
    } catch (error) {
      this.#tally.onError(error, 'statsd')
    }
  }

  /** Sends the rest and stops. */
  close(): void {
    if (this.#closed) return
    for (const close of this.#closers) close()
    this.#cancel()
    this.flush()
    this.#closed = true
    if (this.#onTheirWay === 0) this.#end()
  }

  #report(): void {
    this.flush()
    if (!this.#closed) this.#cancel = this.#scheduler.after(this.#intervalMs, () => this.#report())
  }

  #took(store: string, ms: number): void {
    if (this.#durations.length < MOST_DURATIONS)
      this.#durations.push(this.#line('check_duration', { store }, Number(ms.toFixed(4)), 'ms'))
  }

  #lines(): string[] {
    return METRICS.flatMap((family) => {
      const name = family.name.replace(/_total$/, '')
      return family.read(this.#tally).flatMap(({ labels, value }) => {
        if (family.type === 'gauge') return [this.#line(name, labels, value, 'g')]
        const known = `${family.name} ${Object.values(labels).join(' ')}`
        const more = value - (this.#reported.get(known) ?? 0)
        this.#reported.set(known, value)
        return more === 0 ? [] : [this.#line(name, labels, more, 'c')]
      })
    })
  }

  #line(name: string, labels: Readonly<Record<string, string>>, value: number, type: string): string {
    const entries = Object.entries(labels)
    if (this.#tagged) {
      const tags = entries.map(([label, text]) => `${label}:${clean(text, /[|,#\s]/g)}`)
      return `${this.#prefix}.${name}:${value}|${type}${tags.length === 0 ? '' : `|#${tags.join(',')}`}`
    }
    return `${[this.#prefix, name, ...entries.map(([, text]) => clean(text, /[^A-Za-z0-9_-]/g))].join('.')}:${value}|${type}`
  }

  #packets(lines: readonly string[]): string[] {
    const packets: string[] = []
    let packet = ''
    for (const line of lines) {
      // Names are printable ASCII, so that characters are bytes; what is not was replaced.
      if (packet !== '' && packet.length + 1 + line.length > this.#packetBytes) {
        packets.push(packet)
        packet = ''
      }
      packet = packet === '' ? line : `${packet}\n${line}`
    }
    if (packet !== '') packets.push(packet)
    this.#dropped += Math.max(0, packets.length - MOST_PACKETS)
    return packets.slice(0, MOST_PACKETS)
  }

  #send(packet: string): void {
    if (this.#closed || this.#onTheirWay >= MOST_PACKETS) {
      this.#dropped++
      return
    }
    const socket = (this.#socket ??= this.#open())
    this.#onTheirWay++
    socket.send(packet, this.#port, this.#host, (error) => {
      this.#onTheirWay--
      if (error !== null) this.#dropped++
      if (this.#closed && this.#onTheirWay === 0) this.#end()
    })
  }

  #open(): Socket {
    const socket = createSocket(this.#host.includes(':') ? 'udp6' : 'udp4')
    socket.on('error', () => this.#dropped++)
    // Reporting must not keep a process alive.
    socket.unref()
    return socket
  }

  #end(): void {
    this.#socket?.close()
    this.#socket = undefined
  }
}

/** A label's value without what would end it. */
function clean(text: string, unwanted: RegExp): string {
  return text
    .replace(/[^\x20-\x7e]/g, '_')
    .replace(unwanted, '_')
    .slice(0, 100)
}

/**
 * Reports the decisions of all limiters of the process to a StatsD server: `statsd({ host: 'statsd.internal' })`.
 * @throws ConfigError for an option that is unknown or wrong
 */
export function statsd(options: StatsdOptions = {}): StatsdExporter {
  return new StatsdExporter(options)
}
