// What the processes of a fault run do and say: types, and the limits they decide by. Next: load-worker.ts, which does it; oracle.ts, which
// judges what was said.

import type { AlgorithmName } from '../../src/core/limit.ts'
import type { MultiStoreOptions } from '../../src/stores/failover/multi-store.ts'

/** One store, as data: processes make it of this. */
export type StorePlan =
  | { readonly kind: 'redis'; readonly url: string; readonly client: 'address' | 'ioredis' | 'node-redis' }
  | { readonly kind: 'redis-cluster'; readonly urls: readonly string[]; readonly client: 'address' | 'ioredis' }
  /** Where these Sentinels say that the primary of this name is. */
  | {
      readonly kind: 'redis-sentinel'
      readonly name: string
      readonly urls: readonly string[]
      readonly client: 'address' | 'ioredis' | 'node-redis'
    }
  /** `pool` is one that the app has, with so many connections; without it the store makes its own. */
  | { readonly kind: 'postgres' | 'mysql'; readonly url: string; readonly pool?: number }
  | { readonly kind: 'sqlite'; readonly file: string }
  | { readonly kind: 'memory' }

/** One way of using stores, which every process of a run plays beside the others. */
export interface Setup {
  /** Shown in the table: `redis`, `redis + sqlite`. */
  readonly name: string
  /** One store gets the net that every limiter has; several are a multi store. */
  readonly stores: readonly StorePlan[]
  /** For a multi store. With them, a single store is one as well. */
  readonly options?: Omit<MultiStoreOptions, 'scheduler' | 'random' | 'onStoreEvent'>
  /** Look how many probes of a store are on their way at once. */
  readonly countsProbes?: boolean
}

/** What a process is told at its start. */
export interface LoadOrder {
  /** Number of the process. */
  readonly process: number
  /** Begins the names of all counters of this run. */
  readonly prefix: string
  readonly setups: readonly Setup[]
  readonly deadlineMs: number
  /** Ms between two rounds of questions. */
  readonly everyMs: number
}

/** A limit of the run. */
export interface Policy {
  readonly rate: string
  readonly algorithm: AlgorithmName
}

export const AMOUNT = 30
export const PERIOD_MS = 3000

/** By which every process decides about a key of its own and one that all share; many times what is granted is asked for. */
export const POLICIES = {
  sliding: { rate: `${AMOUNT}/${PERIOD_MS / 1000}s`, algorithm: 'sliding_window' },
  fixed: { rate: `${AMOUNT}/${PERIOD_MS / 1000}s`, algorithm: 'fixed_window' },
  bucket: { rate: `${AMOUNT}/${PERIOD_MS / 1000}s`, algorithm: 'token_bucket' },
} as const satisfies Readonly<Record<string, Policy>>

/** Never used up, so that each of its decisions asks a store: they show where decisions are made. */
export const AMPLE = { rate: '1000000/h', algorithm: 'fixed_window' } as const satisfies Policy

export type PolicyName = keyof typeof POLICIES | 'ample'

/** Keys of the ample policy per process: a store that returns gets keys back bit by bit. */
export const AMPLE_KEYS = 16

/** One decision, as a list to keep messages small. */
export type DecisionRow = readonly [
  setup: number,
  policy: PolicyName,
  key: string,
  /** Epoch ms by this process's clock. */
  askedAt: number,
  tookMs: number,
  /** Ms of that in which the process's event loop did not run. */
  lostMs: number,
  /** 1, 0, or why it was thrown. */
  allowed: 1 | 0 | string,
  source: string,
  /** The time by which it was decided. */
  now: number,
]

/** What a process can be told while it runs. */
export type LoadCommand =
  | { readonly kind: 'start'; readonly order: LoadOrder }
  /** Ask about the limits too, no longer about the ample one alone. */
  | { readonly kind: 'begin' }
  /** Keep the event loop busy for so long, at once. */
  | { readonly kind: 'block'; readonly ms: number }
  /** Take all connections of the app's pools for so long. */
  | { readonly kind: 'occupy'; readonly ms: number }
  /** From now on names of hosts can be turned into addresses, or not. */
  | { readonly kind: 'names'; readonly known: boolean }
  /** Ask so many questions at once. */
  | { readonly kind: 'surge'; readonly questions: number }
  | { readonly kind: 'stop' }

/** What a process says. */
export type LoadReport =
  | {
      readonly kind: 'decisions'
      readonly rows: readonly DecisionRow[]
      /** Per setup: among how many processes it would share a limit. */
      readonly instances: readonly number[]
      /** Per setup: what its stores said went wrong since the last report. */
      readonly errors: readonly (readonly string[])[]
    }
  /** Nothing may be reported here. */
  | { readonly kind: 'problem'; readonly text: string }
  | { readonly kind: 'surged'; readonly rows: readonly DecisionRow[] }
  | {
      readonly kind: 'ended'
      readonly unsettled: number
      /** By how much the heap is larger than before the first question, garbage collected. */
      readonly grownBytes: number
      /** The most probes of one store that were on their way at once; 0 where nobody looked. */
      readonly probesAtOnce: number
    }
