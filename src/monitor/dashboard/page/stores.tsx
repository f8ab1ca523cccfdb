// How the stores are and have been, and who has decided. Next: ../../stores-seen.ts.

import type { StoreHistoryEntry } from '../../live-snapshot.ts'
import type { BreakerStateName, StoreFigures } from '../../stores-seen.ts'
import type { DashboardData } from '../data.ts'
import { Card, Nothing } from './card.tsx'
import { moment, percent, span, whole } from './format.ts'
import { Share } from './spark.tsx'

interface StoresProps {
  readonly data: DashboardData
  readonly now: number
}

const STATES: Readonly<Record<BreakerStateName, { readonly word: string; readonly kind: 'good' | 'fair' | 'bad' }>> = {
  closed: { word: 'in use', kind: 'good' },
  open: { word: 'not asked', kind: 'bad' },
  half_open: { word: 'being tried', kind: 'fair' },
  returning: { word: 'coming back', kind: 'fair' },
}

const EVENTS: Readonly<Record<StoreHistoryEntry['kind'], { readonly word: string; readonly kind: 'good' | 'fair' | 'bad' }>> = {
  up: { word: 'in use again', kind: 'good' },
  returning: { word: 'coming back', kind: 'fair' },
  probing: { word: 'being tried', kind: 'fair' },
  down: { word: 'no longer asked', kind: 'bad' },
  forgot: { word: 'has lost its memory', kind: 'bad' },
  misconfigured: { word: 'is set up wrongly', kind: 'bad' },
}

const WENT_DOWN = ['was never down', 'went down once']
const HISTORY_MS = 3_600_000
const MOST_EVENTS = 8

export function Stores({ data, now }: StoresProps) {
  const { stores, storeHistory, since, sources } = data
  const from = Math.max(since, now - HISTORY_MS)
  return (
    <Card id="stores" title="Stores" count={stores.length} csv="stores">
      {stores.length === 0 && <Nothing>No store has been asked yet.</Nothing>}
      <ul class="stores">
        {stores.map((store) => (
          <Store
            key={store.name}
            store={store}
            history={storeHistory.filter((entry) => entry.store === store.name)}
            from={from}
            now={now}
          />
        ))}
      </ul>
      <Events history={storeHistory} now={now} />
      <Sources sources={sources} />
    </Card>
  )
}

interface StoreProps {
  readonly store: StoreFigures
  readonly history: readonly StoreHistoryEntry[]
  readonly from: number
  readonly now: number
}

function Store({ store: { name, state, activeKeys, lastError }, history, from, now }: StoreProps) {
  const { word, kind } = STATES[state]
  return (
    <li>
      <div class="line">
        <span class={`dot ${kind}`} aria-hidden="true" />
        <b>{name}</b>
        <span class={kind}>{word}</span>
        {activeKeys !== undefined && <span class="muted push">{whole(activeKeys)} keys</span>}
      </div>
      <Strip history={history} from={from} now={now} />
      {lastError !== undefined && state !== 'closed' && <p class="error">{lastError}</p>}
    </li>
  )
}

/** How it has been, from left to right. */
function Strip({ history, from, now }: Omit<StoreProps, 'store'>) {
  const length = Math.max(1, now - from)
  const before = history.findLast(({ at }) => at <= from)
  const inside = history.filter(({ at }) => at > from)
  const steps = [{ at: from, kind: before?.kind ?? ('up' as const) }, ...inside]
  const bad = inside.filter(({ kind }) => kind === 'down').length
  return (
    <svg
      class="strip"
      viewBox="0 0 1000 10"
      preserveAspectRatio="none"
      role="img"
      aria-label={`In the last ${span(length)} it ${WENT_DOWN[bad] ?? `went down ${bad} times`}`}
    >
      {steps.map(({ at, kind }, i) => {
        const x = ((at - from) / length) * 1000
        return <rect key={`${at} ${kind} ${i}`} class={EVENTS[kind].kind} x={x} width={1000 - x} height="10" />
      })}
    </svg>
  )
}

function Events({ history, now }: { readonly history: readonly StoreHistoryEntry[]; readonly now: number }) {
  if (history.length === 0) return null
  return (
    <>
      <h3>What happened</h3>
      <ol class="events">
        {history
          .slice(-MOST_EVENTS)
          .toReversed()
          .map(({ at, store, kind, error }) => (
            <li key={`${at} ${store} ${kind}`}>
              <span class={`dot ${EVENTS[kind].kind}`} aria-hidden="true" />
              <time class="muted number">{moment(at, now)}</time>
              <span>
                <b>{store}</b> {EVENTS[kind].word}
                {error !== undefined && <span class="muted">: {error}</span>}
              </span>
            </li>
          ))}
      </ol>
    </>
  )
}

const DECIDERS: Readonly<Record<string, string>> = {
  primary: 'the store',
  local: 'this process alone, by its share',
  shared: 'a counter several keys share',
  remembered: 'the refusal of a moment ago',
  open: 'nobody: let through',
  closed: 'nobody: denied',
  none: 'no store was asked',
}

function deciderOf(source: string): string {
  return DECIDERS[source] ?? source.replace(/^fallback:(.*)$/, '$1, standing in')
}

function Sources({ sources }: Pick<DashboardData, 'sources'>) {
  const counted = sources.map(({ source, totals }) => ({
    source,
    count: Object.values(totals).reduce((sum, count) => sum + count, 0),
  }))
  const all = counted.reduce((sum, { count }) => sum + count, 0)
  if (all === 0) return null
  return (
    <>
      <h3>Who decided</h3>
      <ul class="breakdown">
        {counted
          .toSorted((a, b) => b.count - a.count)
          .map(({ source, count }) => (
            <li key={source}>
              <span>
                {deciderOf(source)} <span class="muted">{percent(count, all)}</span>
              </span>
              <span class="number">{whole(count)}</span>
              <Share part={count} all={all} kind={source === 'primary' ? 'allowed' : 'would'} />
            </li>
          ))}
      </ul>
    </>
  )
}
