// A tally as the text that Prometheus reads, without a client library. Promise: whatever a policy is called, the text stays well-formed.
// Next: metric-families.ts.

import { DURATION, METRICS, type Sample, cumulative } from './metric-families.ts'
import type { Tally } from './tally.ts'

/** What to send as Content-Type with {@link renderPrometheus}'s text. */
export const PROMETHEUS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** All metrics, in the text format 0.0.4. */
export function renderPrometheus(tally: Tally, prefix: string): string {
  const lines: string[] = []
  const head = (name: string, help: string, type: string): void => {
    lines.push(
      `# HELP ${prefix}${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}`,
      `# TYPE ${prefix}${name} ${type}`,
    )
  }
  for (const family of METRICS) {
    head(family.name, family.help, family.type)
    for (const sample of family.read(tally)) lines.push(line(prefix + family.name, family.labels, sample))
  }
  head(DURATION.name, DURATION.help, 'histogram')
  const name = prefix + DURATION.name
  for (const [store, { buckets, sumS, count }] of tally.durations.entries()) {
    for (const { le, value } of cumulative(buckets))
      lines.push(line(`${name}_bucket`, ['store', 'le'], { labels: { store, le }, value }))
    lines.push(line(`${name}_sum`, ['store'], { labels: { store }, value: sumS }))
    lines.push(line(`${name}_count`, ['store'], { labels: { store }, value: count }))
  }
  return `${lines.join('\n')}\n`
}

function line(name: string, labels: readonly string[], { labels: values, value }: Sample): string {
  const pairs = labels.map((label) => `${label}="${escaped(values[label] ?? '')}"`)
  return `${name}{${pairs.join(',')}} ${value}`
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}
