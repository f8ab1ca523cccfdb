// Tapes: sequences of calls with the answers worked out by hand. Every store must play them to the millisecond.
// Promise: no number here was copied from a program's output. Next: play-tape.ts, which plays them.

import type { RateInput } from '../core/limit-set.ts'
import type { LimiterOptions } from '../limiter/options.ts'

/** What a step of a tape calls. Costs are 1 and the key is the tape's unless they are given. */
export type TapeCall =
  | 'check'
  | 'peek'
  | 'reset'
  | 'unban'
  | { readonly check: number; readonly rate?: RateInput; readonly key?: string }
  | { readonly peek: number; readonly rate?: RateInput; readonly key?: string }
  /** A refund of this cost that names no decision. */
  | { readonly refund: number }
  /** A refund of the decision of that step (its index). */
  | { readonly refundOf: number }
  /** A ban of so many ms. */
  | { readonly ban: number }

/**
 * `[ms to move the clock by (negative: back), call, allowed, remaining, resetAfterMs, retryAfterMs]`. What is left out is not
 * compared, but an allowed step never has a retryAfterMs. `'never'`: refused without a retryAfterMs.
 */
export type TapeStep = readonly [
  advanceMs: number,
  call: TapeCall,
  allowed?: boolean,
  remaining?: number | undefined,
  resetAfterMs?: number | undefined,
  retryAfterMs?: number | 'never',
]

/** A sequence of calls on one limiter with the answers it must give. */
export interface Tape {
  readonly name: string
  readonly options: Pick<LimiterOptions, 'rate' | 'algorithm' | 'algorithmConfig' | 'timeZone' | 'chargeRefused' | 'penalty'>
  /** Epoch ms at which the clock starts (default {@link TAPE_START_MS}). */
  readonly startMs?: number
  readonly steps: readonly TapeStep[]
}

/** Tuesday 2023-11-14T22:14:00Z: the first millisecond of a minute. */
export const TAPE_START_MS = 1_700_000_040_000

const HOUR = 3_600_000
const bucket5 = { rate: '60/m', algorithm: 'token_bucket', algorithmConfig: { bucketSize: 5 } } as const
const exact = { algorithm: 'sliding_window', algorithmConfig: { precision: 'exact' } } as const
const first = { algorithm: 'fixed_window', algorithmConfig: { align: 'first' } } as const
const fixed = { algorithm: 'fixed_window' } as const

/** Sixty sub-windows of a second; an entry counts until the whole of its second is a minute old. */
const SLIDING: readonly Tape[] = [
  {
    name: 'a sliding window frees an entry when its whole sub-window is a period old',
    options: { rate: '3/m' },
    steps: [
      [0, 'check', true, 2, 60_999],
      [0, 'check', true, 1, 60_999],
      [0, 'check', true, 0, 60_999],
      [0, 'check', false, 0, 60_999, 60_999],
      [60_998, 'check', false, 0, 1, 1],
      [1, 'check', true, 2, 60_000],
    ],
  },
  {
    name: 'refused requests are not recorded',
    options: { rate: '2/2s' },
    steps: [
      [0, 'check', true],
      [100, 'check', true],
      [1700, 'check', false],
      [100, 'check', false],
      [250, 'check', true],
    ],
  },
  {
    name: 'refused requests are not recorded, to the millisecond',
    options: { rate: '2/2s', ...exact },
    steps: [
      [0, 'check', true, 1, 2000],
      [100, 'check', true, 0, 2000],
      [1700, 'check', false, 0, 300, 200],
      [100, 'check', false, 0, 200, 100],
      [250, 'check', true, 1, 2000],
    ],
  },
  {
    name: 'an entry exactly a period old no longer counts',
    options: { rate: '1/s', ...exact },
    steps: [
      [0, 'check', true, 0, 1000],
      [999, 'check', false, 0, 1, 1],
      [1, 'check', true, 0, 1000],
    ],
  },
  {
    name: 'a single sub-window frees up to a period late, never early',
    options: { rate: '10/m', algorithm: 'sliding_window', algorithmConfig: { precision: 1 } },
    steps: [
      [0, { check: 10 }, true, 0, 119_999],
      [119_998, 'check', false, 0, 1, 1],
      [1, 'check', true, 9, 60_000],
    ],
  },
  {
    name: 'after a lowered limit the wait is for enough entries, not for the oldest',
    options: { rate: '100/m', ...exact },
    steps: [
      [0, 'check', true, 99, 60_000],
      ...Array.from({ length: 49 }, (): TapeStep => [100, 'check', true]),
      // Fifty held, ten allowed: the forty-first, of 4000 ms, must have left.
      [100, { check: 1, rate: '10/m' }, false, 0, 59_900, 59_000],
      [58_999, { check: 1, rate: '10/m' }, false, 0, 901, 1],
      [1, { check: 1, rate: '10/m' }, true, 0, 60_000],
    ],
  },
  {
    name: 'a sliding window stands still while the clock is a minute back',
    options: { rate: '2/m', ...exact },
    steps: [
      [0, { check: 2 }, true, 0, 60_000],
      [-60_000, 'check', false, 0, 120_000, 120_000],
      [119_999, 'check', false, 0, 1, 1],
      [1, 'check', true, 1, 60_000],
    ],
  },
  {
    name: 'a sliding window from the impossible future heals to one period of waiting',
    options: { rate: '2/m', ...exact },
    steps: [
      [0, { check: 2 }, true, 0, 60_000],
      [-HOUR, 'peek', false, 0, 60_000, 60_000],
      [0, 'check', false, 0, 60_000, 60_000],
      [59_999, 'check', false, 0, 1, 1],
      [1, 'check', true, 1, 60_000],
    ],
  },
  {
    name: 'a sliding refund leaves from the time of its decision',
    options: { rate: '2/m', ...exact },
    steps: [
      [0, 'check', true, 1, 60_000],
      [1000, 'check', true, 0, 60_000],
      [0, { refundOf: 1 }],
      [0, 'peek', true, 1, 59_000],
      [59_000, { refundOf: 0 }],
      [0, 'check', true, 1, 60_000],
      // The first decision's time is gone, so nothing comes back for it.
      [0, { refundOf: 0 }],
      [0, 'check', true, 0, 60_000],
    ],
  },
  {
    name: 'charged refusals count in a sliding window',
    options: { rate: '1/s', ...exact, chargeRefused: true },
    steps: [
      [0, 'check', true, 0, 1000],
      [500, 'check', false, 0, 1000, 1000],
      [999, 'peek', false, 0, 1, 1],
      [1, 'check', true, 0, 1000],
    ],
  },
]

const FIXED: readonly Tape[] = [
  {
    name: 'a fixed window ends with the clock',
    options: { rate: '2/m', ...fixed },
    steps: [
      [10_000, 'check', true, 1, 50_000],
      [0, 'check', true, 0, 50_000],
      [0, 'check', false, 0, 50_000, 50_000],
      [49_999, 'check', false, 0, 1, 1],
      [1, 'check', true, 1, 60_000],
    ],
  },
  {
    name: 'a first-aligned window lasts a period from its first request',
    options: { rate: '2/m', ...first },
    steps: [
      [10_000, 'check', true, 1, 60_000],
      [20_000, 'check', true, 0, 40_000],
      [0, 'check', false, 0, 40_000, 40_000],
      [39_999, 'check', false, 0, 1, 1],
      [1, 'check', true, 1, 60_000],
    ],
  },
  {
    name: 'a cost over what is left takes nothing of it',
    options: { rate: '5/m', ...fixed },
    steps: [
      [0, { check: 2 }, true, 3, 60_000],
      [0, { check: 5 }, false, 3, 60_000, 60_000],
      [0, { check: 3 }, true, 0, 60_000],
    ],
  },
  {
    name: 'a cost over the limit is never granted, and a rate of 0 grants nothing',
    options: { rate: '5/m', ...fixed },
    steps: [
      [0, { check: 6 }, false, undefined, undefined, 'never'],
      [0, { check: 5 }, true, 0, 60_000],
      [0, { check: 1, rate: '0/m' }, false, 0, undefined, 'never'],
    ],
  },
  {
    name: 'a raised limit keeps what was consumed',
    options: { rate: '2/m', ...fixed },
    steps: [
      [0, { check: 2 }, true, 0, 60_000],
      [0, 'check', false, 0, 60_000, 60_000],
      [0, { check: 1, rate: '5/m' }, true, 2, 60_000],
      [0, { peek: 1, rate: '2/m' }, false, 0, 60_000, 60_000],
    ],
  },
  {
    name: 'a fixed window lasts while the clock is a minute back',
    options: { rate: '2/m', ...fixed },
    steps: [
      [0, { check: 2 }, true, 0, 60_000],
      [-60_000, 'check', false, 0, 120_000, 120_000],
      [119_999, 'check', false, 0, 1, 1],
      [1, 'check', true, 1, 60_000],
    ],
  },
  ...[fixed, first].map((options): Tape => ({
    name: `a fixed window (${options === first ? 'first' : 'clock'}) from the impossible future heals to one period of waiting`,
    options: { rate: '2/m', ...options },
    steps: [
      [0, { check: 2 }, true, 0, 60_000],
      [-HOUR, 'peek', false, 0, 60_000, 60_000],
      [0, 'check', false, 0, 60_000, 60_000],
      [59_999, 'check', false, 0, 1, 1],
      [1, 'check', true, 1, 60_000],
    ],
  })),
  {
    name: 'a refund ends with its window and never exceeds what is held',
    options: { rate: '2/m', ...fixed },
    steps: [
      [0, { check: 2 }, true, 0, 60_000],
      [0, { refund: 1 }],
      [0, 'check', true, 0, 60_000],
      [60_000, 'check', true, 1, 60_000],
      [0, { refundOf: 0 }],
      [0, 'peek', true, 1, 60_000],
      [0, { refund: 9 }],
      [0, { check: 2 }, true, 0, 60_000],
    ],
  },
  {
    name: 'charged refusals count in a fixed window until it ends',
    options: { rate: '2/m', ...fixed, chargeRefused: true },
    steps: [
      [0, { check: 2 }, true, 0, 60_000],
      [0, 'check', false, 0, 60_000, 60_000],
      [60_000, 'check', true, 1, 60_000],
      // A refused cost of two fills the one that is left.
      [0, { check: 2 }, false, 0, 60_000, 60_000],
      [0, 'peek', false, 0, 60_000, 60_000],
    ],
  },
  {
    name: 'a month is a month of the calendar',
    options: { rate: '2/month' },
    steps: [
      [0, 'check', true, 1, 1_388_760_000],
      [0, 'check', true, 0, 1_388_760_000],
      [0, 'check', false, 0, 1_388_760_000, 1_388_760_000],
      [1_388_759_999, 'check', false, 0, 1, 1],
      [1, 'check', true, 1, 31 * 24 * HOUR],
    ],
  },
  {
    name: 'a week begins on Monday',
    options: { rate: '1/week' },
    steps: [
      [0, 'check', true, 0, 438_360_000],
      [438_359_999, 'check', false, 0, 1, 1],
      [1, 'check', true, 0, 7 * 24 * HOUR],
    ],
  },
  {
    name: 'a day of the zone has 23 hours when summer time begins',
    options: { rate: '1/day', timeZone: 'Europe/Madrid' },
    startMs: Date.UTC(2024, 2, 30, 23),
    steps: [
      [0, 'check', true, 0, 23 * HOUR],
      [23 * HOUR - 1, 'check', false, 0, 1, 1],
      [1, 'check', true, 0, 24 * HOUR],
    ],
  },
]

const BUCKETS: readonly Tape[] = [
  {
    name: 'a token bucket waits for the tokens that are missing',
    options: bucket5,
    steps: [
      [0, { check: 5 }, true, 0, 5000],
      [0, 'check', false, 0, 5000, 1000],
      [999, 'check', false, 0, 4001, 1],
      [1, 'check', true, 0, 5000],
      // Two and a half tokens: two whole ones remain, and a cost of five waits for the rest.
      [2500, 'peek', true, 2, 2500],
      [0, { check: 5 }, false, 2, 2500, 2500],
      [2500, { check: 5 }, true, 0, 5000],
    ],
  },
  {
    name: 'a bucket that starts empty fills from the first request on',
    options: { rate: '60/m', algorithm: 'token_bucket', algorithmConfig: { bucketSize: 2, initialTokens: 0 } },
    steps: [
      [0, 'check', false, 0, 2000, 1000],
      [999, 'check', false, 0, 1001, 1],
      [1, 'check', true, 0, 2000],
      // Silent until full and a minute more: a stranger again.
      [61_999, 'peek', true, 2, 0],
      [1, 'check', false, 0, 2000, 1000],
      [1000, 'check', true, 0, 2000],
    ],
  },
  {
    name: 'a refill rate of 0 never refills',
    options: { rate: '5/m', algorithm: 'token_bucket', algorithmConfig: { bucketSize: 2, refillRate: 0 } },
    steps: [
      [0, 'check', true, 1, Infinity],
      [0, 'check', true, 0, Infinity],
      [0, 'check', false, 0, Infinity, 'never'],
      [1_000_000_000, 'check', false, 0, Infinity, 'never'],
      [0, 'reset'],
      [0, 'check', true, 1, Infinity],
    ],
  },
  {
    name: 'a bucket size of 0 refuses everything',
    options: { rate: '5/m', algorithm: 'token_bucket', algorithmConfig: { bucketSize: 0 } },
    steps: [
      [0, 'check', false, 0, undefined, 'never'],
      [HOUR, 'check', false, 0, undefined, 'never'],
    ],
  },
  {
    name: 'fractions of a token count: 10.5 of them, 1.6667 a second',
    options: { rate: '100/m', algorithm: 'token_bucket', algorithmConfig: { bucketSize: 10.5, refillRate: 1.6667 } },
    steps: [
      [0, { check: 10 }, true, 0, 6000],
      [0, 'check', false, 0, 6000, 300],
      [299, 'check', false, 0, 5701, 1],
      [1, 'check', true, 0, 6300],
    ],
  },
  {
    name: 'a leaky bucket waits for what must leak',
    options: { rate: '60/m', algorithm: 'leaky_bucket', algorithmConfig: { bucketCapacity: 3, leakRate: 2 } },
    steps: [
      [0, { check: 3 }, true, 0, 1500],
      [0, 'check', false, 0, 1500, 500],
      [499, 'check', false, 0, 1001, 1],
      [1, 'check', true, 0, 1500],
    ],
  },
  {
    name: 'gcra paces evenly',
    options: { rate: '60/m', algorithm: 'gcra' },
    steps: [
      [0, 'check', true, 0, 1000],
      [0, 'check', false, 0, 1000, 1000],
      [999, 'check', false, 0, 1, 1],
      [1, 'check', true, 0, 1000],
    ],
  },
  {
    name: 'gcra admits its burst at once, then paces',
    options: { rate: '60/m', algorithm: 'gcra', algorithmConfig: { burst: 3 } },
    steps: [
      [0, 'check', true, 2, 1000],
      [0, 'check', true, 1, 2000],
      [0, 'check', true, 0, 3000],
      [0, 'check', false, 0, 3000, 1000],
      [1000, 'check', true, 0, 3000],
    ],
  },
  {
    name: 'a lowered bucket drains what the larger one held',
    options: { rate: '60/m', algorithm: 'token_bucket' },
    steps: [
      [0, { check: 60 }, true, 0, 60_000],
      // Sixty held, six fit, six leave a minute: fifty-five must leave, ten seconds each.
      [0, { check: 1, rate: '6/m' }, false, 0, 600_000, 550_000],
      [0, { peek: 1, rate: '120/m' }, true, 60, 30_000],
    ],
  },
  {
    name: 'a bucket stands still while the clock is a minute back',
    options: { rate: '60/m', algorithm: 'token_bucket', algorithmConfig: { bucketSize: 10 } },
    steps: [
      [0, { check: 10 }, true, 0, 10_000],
      [-60_000, 'check', false, 0, 70_000, 61_000],
      [60_999, 'check', false, 0, 9001, 1],
      [1, 'check', true, 0, 10_000],
    ],
  },
  {
    name: 'a bucket from the impossible future heals to a full refill of waiting',
    options: { rate: '60/m', algorithm: 'token_bucket', algorithmConfig: { bucketSize: 10 } },
    steps: [
      [0, { check: 10 }, true, 0, 10_000],
      [-HOUR, 'peek', false, 0, 10_000, 1000],
      [0, 'check', false, 0, 10_000, 1000],
      [999, 'check', false, 0, 9001, 1],
      [1, 'check', true, 0, 10_000],
    ],
  },
  {
    name: 'a bucket takes back only what has not drained since',
    options: bucket5,
    steps: [
      [0, { check: 3 }, true, 2, 3000],
      [1000, { refundOf: 0 }],
      [0, { check: 5 }, true, 0, 5000],
      [0, { refund: 9 }],
      [0, 'peek', true, 5, 0],
    ],
  },
  {
    name: 'charged refusals keep a bucket full and build no debt',
    options: { rate: '60/m', algorithm: 'leaky_bucket', algorithmConfig: { bucketCapacity: 2 }, chargeRefused: true },
    steps: [
      [0, { check: 2 }, true, 0, 2000],
      [500, 'check', false, 0, 2000, 1000],
      [0, 'check', false, 0, 2000, 1000],
      [999, 'peek', false, 0, 1001, 1],
      [1, 'check', true, 0, 2000],
    ],
  },
  {
    name: 'a year is a period like any other',
    options: { rate: '1/365d', algorithm: 'token_bucket' },
    steps: [
      [0, 'check', true, 0, 31_536_000_000],
      [31_535_999_999, 'check', false, 0, 1, 1],
      [1, 'check', true, 0, 31_536_000_000],
    ],
  },
]

const TOGETHER: readonly Tape[] = [
  {
    name: 'of several limits the tightest speaks, and a refusal charges none',
    options: { rate: '2/s, 3/m', ...fixed },
    steps: [
      [0, 'check', true, 1, 1000],
      [0, 'check', true, 0, 1000],
      [0, 'check', false, 0, 1000, 1000],
      [1000, 'check', true, 0, 59_000],
      [0, 'check', false, 0, 59_000, 59_000],
      [58_999, 'check', false, 0, 1, 1],
      [1, { check: 2 }, true, 0, 1000],
    ],
  },
  {
    name: 'limits of different algorithms decide together',
    options: {
      rate: [
        { rate: '1/s', ...exact },
        { rate: '4/m', algorithm: 'token_bucket', algorithmConfig: { bucketSize: 2 } },
      ],
    },
    steps: [
      [0, 'check', true, 0, 1000],
      [0, 'check', false, 0, 1000, 1000],
      // Two of two tokens are spent: at 1000 ms, 14 s of refill are left for the next.
      [1000, 'check', true, 0, 29_000],
      [0, 'check', false, 0, 29_000, 14_000],
      [13_999, 'check', false, 0, 15_001, 1],
      [1, 'check', true, 0, 30_000],
    ],
  },
  {
    name: 'keys count apart, and a reset forgets one of them',
    options: { rate: '1/m', ...fixed },
    steps: [
      [0, 'check', true, 0, 60_000],
      [0, { check: 1, key: 'another' }, true, 0, 60_000],
      [0, 'check', false, 0, 60_000, 60_000],
      [0, 'reset'],
      [0, 'check', true, 0, 60_000],
      [0, { check: 1, key: 'another' }, false, 0, 60_000, 60_000],
    ],
  },
]

const BANS: readonly Tape[] = [
  {
    name: 'a ban refuses whatever the counters say, and ends by itself',
    options: { rate: '9/m', ...fixed },
    steps: [
      [0, { ban: 5000 }],
      [0, 'check', false, 0, 0, 5000],
      [4999, 'check', false, 0, 0, 1],
      [1, 'check', true, 8, 55_000],
    ],
  },
  {
    name: 'a ban is prolonged, never shortened, and can be lifted',
    options: { rate: '9/m', ...fixed },
    steps: [
      [0, { ban: 5000 }],
      [0, { ban: 1000 }],
      [0, 'check', false, 0, 0, 5000],
      [0, { ban: 6000 }],
      [0, 'check', false, 0, 0, 6000],
      [0, 'unban'],
      [0, 'check', true, 8, 60_000],
      [0, { ban: 5000 }],
      [0, 'reset'],
      [0, 'check', true, 8, 60_000],
    ],
  },
  {
    name: 'a limit that waits longer than the ban speaks for both',
    options: { rate: '1/m', ...fixed },
    steps: [
      [0, 'check', true, 0, 60_000],
      [0, { ban: 5000 }],
      [0, 'check', false, 0, 60_000, 60_000],
      [59_999, 'check', false, 0, 1, 1],
      [1, 'check', true, 0, 60_000],
    ],
  },
  {
    name: 'penalties grow to their end and are forgotten',
    options: { rate: '1/s', ...fixed, penalty: { durationMs: 10_000, factor: 2, maxMs: 30_000, forgetAfterMs: 60_000 } },
    steps: [
      [0, 'check', true, 0, 1000],
      [0, 'check', false, 0, 1000, 10_000],
      [9999, 'check', false, 0, 0, 1],
      [1, 'check', true, 0, 1000],
      [0, 'check', false, 0, 1000, 20_000],
      [20_000, 'check', true, 0, 1000],
      [0, 'check', false, 0, 1000, 30_000],
      [30_000, 'check', true, 0, 1000],
      [59_000, 'check', true, 0, 1000],
      [0, 'check', false, 0, 1000, 30_000],
      [90_000, 'check', true, 0, 1000],
      [0, 'check', false, 0, 1000, 10_000],
    ],
  },
]

/** Every tape. */
export const TAPES: readonly Tape[] = [...SLIDING, ...FIXED, ...BUCKETS, ...TOGETHER, ...BANS]
