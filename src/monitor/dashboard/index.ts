// `smart-ratelimit/dashboard`: a page about what limiters do. Start reading at dashboard.ts; for users there is
// ../../../docs/dashboard.md.

export { type DashboardAuth, tokenAuth } from './auth.ts'
export { type Dashboard, dashboard } from './dashboard.ts'
export type { DashboardRequest, DashboardResponse } from './node-form.ts'
export type { DashboardOptions } from './options.ts'
