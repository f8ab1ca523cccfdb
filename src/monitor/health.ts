// `smart-ratelimit/health`: how the stores are, as data and over HTTP. Start reading at ask-stores.ts.

export { type Health, type HealthOptions, type StoreHealth, healthOf } from './ask-stores.ts'
export { type HealthHandlerOptions, healthHandler, healthListener } from './health-handler.ts'
export { type HealthJsonOptions, healthJson } from './health-json.ts'
export type { BreakerStateName } from './stores-seen.ts'
