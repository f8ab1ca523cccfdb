// The page as a whole: its head, and the cards in the order they are asked about. Next: live.ts (what it knows), page.css (how it looks).

import { useEffect, useRef, useState } from 'preact/hooks'
import { Bans } from './bans.tsx'
import { Card } from './card.tsx'
import { NO_CHUNKS } from './charts.ts'
import { clockTime, span } from './format.ts'
import { type Known, Live, type Status } from './live.ts'
import { Offenders } from './offenders.tsx'
import { Paths, Policies } from './policies.tsx'
import { Shadow } from './shadow.tsx'
import { Stores } from './stores.tsx'
import { Summary } from './summary.tsx'
import { THEMES, type Theme, chooseTheme, chosenTheme } from './theme.ts'
import { type Subject, Traffic } from './traffic.tsx'

const STATUS: Readonly<Record<Status, string>> = {
  connecting: 'Connecting…',
  live: 'Live',
  polling: 'Every 5 s',
  paused: 'Paused',
  lost: 'Connection lost, trying again…',
  refused: 'Not signed in any more: load the page again',
}

export function App({ title }: { readonly title: string }) {
  const [known, setKnown] = useState<Known>({ status: 'connecting', data: undefined, chunks: NO_CHUNKS })
  const [said, say] = useState('')
  const [subject, setSubject] = useState<Subject>()
  const live = useRef<Live | undefined>(undefined)
  useEffect(() => {
    live.current = new Live(setKnown)
  }, [])
  const { data, status } = known
  const show = (chosen: Subject): void => {
    setSubject(chosen)
    document.getElementById('traffic-title')?.focus()
  }
  return (
    <>
      <header class="top">
        <h1>{title}</h1>
        <p class={`status ${status}`} role="status">
          <span class="dot" aria-hidden="true" />
          {STATUS[status]}
        </p>
        <div class="push controls">
          <button type="button" aria-pressed={status === 'paused'} onClick={() => live.current?.pause(status !== 'paused')}>
            {status === 'paused' ? 'Go on' : 'Pause'}
          </button>
          <ThemeChoice />
        </div>
      </header>
      <p class="sr" role="status" aria-live="polite">
        {said}
      </p>
      {data === undefined ? (
        <main>
          <p class="nothing">{STATUS[status]}</p>
        </main>
      ) : (
        <main data-now={data.now}>
          {data.warnings.map((warning) => (
            <p class="warning" key={warning}>
              {warning}
            </p>
          ))}
          <Summary known={known} data={data} />
          <Traffic known={known} now={data.now} subject={subject} onSubject={setSubject} />
          <div class="columns">
            <div>
              <Policies data={data} onSubject={show} />
              <Paths data={data} onSubject={show} />
              <Stores data={data} now={data.now} />
            </div>
            <div>
              <Card id="offenders" title="Refused most" csv="offenders">
                <Offenders
                  offenders={data.offenders}
                  now={data.now}
                  caption="Keys that were refused most lately"
                  kind="refused"
                />
              </Card>
              <Bans
                bans={data.bans}
                now={data.now}
                lift={(id) => live.current?.unban(id) ?? Promise.resolve('Not connected.')}
                say={say}
              />
              <Shadow data={data} now={data.now} />
            </div>
          </div>
          <footer>
            What this process has decided since {clockTime(data.since)}, {span(data.now - data.since)} ago; a request that two
            limiters look at is two decisions. Times are by your clock.
          </footer>
        </main>
      )}
    </>
  )
}

function ThemeChoice() {
  const [theme, setTheme] = useState<Theme>(chosenTheme)
  const choose = (chosen: Theme): void => {
    chooseTheme(chosen)
    setTheme(chosen)
  }
  return (
    <div class="choice" role="group" aria-label="Colours">
      {THEMES.map((one) => (
        <button type="button" aria-pressed={one === theme} onClick={() => choose(one)} key={one}>
          {one === 'auto' ? 'Auto' : one === 'light' ? 'Light' : 'Dark'}
        </button>
      ))}
    </div>
  )
}
