// The Grafana dashboard asks for metrics and labels that exist, and shows each metric somewhere. Next: ../../src/monitor/metric-families.ts.

import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { DURATION, METRICS } from '../../src/monitor/metric-families.ts'
import { RESULTS } from '../../src/monitor/results.ts'

interface Panel {
  readonly id: number
  readonly title: string
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly targets: readonly { readonly expr: string; readonly legendFormat: string }[]
}
interface Dashboard {
  readonly panels: readonly Panel[]
  readonly templating: { readonly list: readonly { readonly name: string; readonly definition?: string }[] }
}

const dashboard = JSON.parse(readFileSync('docs/grafana/smart-ratelimit.json', 'utf8')) as Dashboard
const queries = [
  ...dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
  ...dashboard.templating.list.flatMap(({ definition }) => definition ?? []),
]
const PREFIX = 'smart_ratelimit_'
const labelsOf = new Map<string, readonly string[]>([
  ...METRICS.map(({ name, labels }) => [name, labels] as const),
  ...['_bucket', '_sum', '_count'].map((suffix) => [DURATION.name + suffix, [...DURATION.labels, 'le']] as const),
])

/** The metrics of a query, with the labels it picks by. */
function asked(query: string): readonly { readonly name: string; readonly labels: readonly string[] }[] {
  return [...query.matchAll(/smart_ratelimit_(\w+)(?:\{([^}]*)\})?/g)].map(([, name = '', picks = '']) => ({
    name,
    labels: [...picks.matchAll(/(\w+)(?:=~|!=|!~|=)/g)].map(([, label = '']) => label),
  }))
}

describe('the Grafana dashboard', () => {
  it('asks for metrics and labels that exist', () => {
    expect(queries.length).toBeGreaterThan(12)
    for (const query of queries) {
      const metrics = asked(query)
      expect(metrics.length, query).toBeGreaterThan(0)
      for (const { name, labels } of metrics) {
        expect([...labelsOf.keys()], query).toContain(name)
        for (const label of labels) expect(labelsOf.get(name), query).toContain(label)
      }
      const [, grouped = ''] = /\bby \(([^)]*)\)/.exec(query) ?? []
      const known = metrics.flatMap(({ name }) => labelsOf.get(name) ?? [])
      for (const label of grouped.split(', ').filter((text) => text !== '')) expect(known, query).toContain(label)
      for (const [, result = ''] of query.matchAll(/result="(\w+)"/g)) expect(RESULTS as readonly string[]).toContain(result)
    }
  })

  it('names in its legends what it groups by', () => {
    for (const { targets } of dashboard.panels) {
      for (const { expr, legendFormat } of targets) {
        const [, grouped = ''] = /\bby \(([^)]*)\)/.exec(expr) ?? []
        for (const [, label = ''] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) expect(grouped.split(', ')).toContain(label)
      }
    }
  })

  it('shows every metric', () => {
    const shown = new Set(queries.flatMap((query) => asked(query).map(({ name }) => name)))
    expect(METRICS.map(({ name }) => name).filter((name) => !shown.has(name))).toEqual([])
    expect(shown).toContain(`${DURATION.name}_bucket`)
    expect(JSON.stringify(dashboard)).not.toMatch(new RegExp(`${PREFIX}\\w*key[^s]`))
  })

  it('has panels of their own numbers that do not overlap', () => {
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length)
    const cells = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
    )
    expect(new Set(cells).size).toBe(cells.length)
  })
})
