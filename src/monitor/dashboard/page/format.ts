// Figures as people read them: digits in groups, times by the reader's clock, spans in the largest two units. Next: app.tsx.

const WHOLE = new Intl.NumberFormat('en')
const SHORT = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 })
const CLOCK = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' })
const MINUTE = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' })
const DAY = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' })

/** `12,345`. */
export function whole(count: number): string {
  return WHOLE.format(count)
}

/** `12.3K`, where there is little room. */
export function short(count: number): string {
  return SHORT.format(count)
}

/** A rate per second: one digit after the point below ten. */
export function perSecond(rate: number): string {
  return rate < 10 && rate % 1 !== 0 ? rate.toFixed(1) : whole(Math.round(rate))
}

/** A part of a whole; tells some from none and most from all. */
export function percent(part: number, all: number): string {
  if (all === 0) return '–'
  const share = (100 * part) / all
  if (part > 0 && share < 0.1) return '< 0.1 %'
  if (part < all && share > 99.9) return '> 99.9 %'
  return `${share === 0 || share === 100 ? share : share.toFixed(1)} %`
}

/** `14:03:07`. */
export function clockTime(ms: number): string {
  return CLOCK.format(ms)
}

/** `14:03`. */
export function minuteTime(ms: number): string {
  return MINUTE.format(ms)
}

/** The time today, else the day too. */
export function moment(ms: number, now: number): string {
  return now - ms < 43_200_000 ? clockTime(ms) : DAY.format(ms)
}

/** `2 d 4 h`, `3 min 20 s`, `12 s`. */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ] as const
  const first = parts.findIndex(([count]) => count > 0)
  if (first < 0) return '0 s'
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(' ')
}

/** `just now`, `12 s ago`. */
export function ago(ms: number, now: number): string {
  return now - ms < 2000 ? 'just now' : `${span(now - ms)} ago`
}
