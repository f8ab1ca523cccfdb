// Small pictures of counts: the last minute as bars, and a part of a whole. Next: ../data.ts.

import type { Lately } from '../data.ts'
import { whole } from './format.ts'

const WIDTH = 6
const HEIGHT = 22

/** The last minute, the refused on the allowed. */
export function Spark({ lately: { allowed, refused } }: { readonly lately: Lately }) {
  const most = Math.max(1, ...allowed.map((count, i) => count + (refused[i] as number)))
  const scaled = (count: number): number => (count / most) * HEIGHT
  const sum = (counts: readonly number[]): string => whole(counts.reduce((all, count) => all + count, 0))
  return (
    <svg
      class="spark"
      viewBox={`0 0 ${allowed.length * WIDTH} ${HEIGHT}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={`Last minute: ${sum(allowed)} allowed, ${sum(refused)} refused`}
    >
      {allowed.map((count, i) => {
        const [low, high] = [scaled(count), scaled(refused[i] as number)]
        return (
          <g key={i}>
            <rect class="allowed" x={i * WIDTH} width={WIDTH - 1} y={HEIGHT - low} height={low} />
            <rect class="refused" x={i * WIDTH} width={WIDTH - 1} y={HEIGHT - low - high} height={high} />
          </g>
        )
      })}
    </svg>
  )
}

interface ShareProps {
  readonly part: number
  readonly all: number
  /** The colour of the part. */
  readonly kind?: string
  /** Beside the part: what limits on trial would have refused. */
  readonly also?: number
}

/** A part of a whole, as a bar. What it says stands beside it in digits. */
export function Share({ part, all, kind = 'refused', also = 0 }: ShareProps) {
  const width = (count: number): number => (all === 0 || count === 0 ? 0 : Math.max(1, (100 * count) / all))
  return (
    <svg class="share" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
      <rect class="rest" width="100" height="4" />
      <rect class="would" x={width(part)} width={width(also)} height="4" />
      <rect class={kind} width={width(part)} height="4" />
    </svg>
  )
}
