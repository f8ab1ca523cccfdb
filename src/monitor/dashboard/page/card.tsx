// A part of the page with its heading, and a link to its data where there is a table of it. Next: app.tsx.

import type { ComponentChildren } from 'preact'
import { addressOf } from './place.ts'

interface CardProps {
  readonly id: string
  readonly title: string
  /** A word or a figure beside the title. */
  readonly count?: number | string | undefined
  /** Name of the table to download. */
  readonly csv?: string
  readonly actions?: ComponentChildren
  readonly children: ComponentChildren
}

export function Card({ id, title, count, csv, actions, children }: CardProps) {
  return (
    <section class="card" id={id} aria-labelledby={`${id}-title`}>
      <header>
        <h2 id={`${id}-title`} tabIndex={-1}>
          {title}
          {count !== undefined && <span class="count">{count}</span>}
        </h2>
        <div class="actions">
          {actions}
          {csv !== undefined && (
            <a class="quiet" href={addressOf(`api/export/${csv}.csv`)} download aria-label={`${title} as CSV`}>
              CSV
            </a>
          )}
        </div>
      </header>
      {children}
    </section>
  )
}

/** What a card says that has nothing to show. */
export function Nothing({ children }: { readonly children: ComponentChildren }) {
  return <p class="nothing">{children}</p>
}
