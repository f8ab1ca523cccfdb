// `smart-ratelimit/monitor`: what is going on, kept in bounded memory, for dashboards and reports. Start reading at live-view.ts;
// the page about monitoring is for users.

export type { BanSeen } from './bans-seen.ts'
export type { LimitView } from './limit-view.ts'
export type { LiveViewOptions } from './live-options.ts'
export { TABLES, type Table } from './live-tables.ts'
export type { TimelineQuery } from './live-charts.ts'
export type { LiveSnapshot, PolicyView, ShadowView, StoreHistoryEntry } from './live-snapshot.ts'
export { LiveView, liveView } from './live-view.ts'
export type { Offender } from './offenders.ts'
export { type Counts, RESULTS, type Result } from './results.ts'
export type { Point } from './series.ts'
export type { BreakerStateName, StoreFigures } from './stores-seen.ts'
