// GraphQL: Yoga and Envelop, Apollo Server, limits per field, and what an operation costs. Promise: no server framework and no graphql is
// imported; operations of a batch, aliases and fragments all count. Start reading at graphql-limiter.ts.

export type { RequestRateLimit } from '../http/request-rate-limit.ts'
export { type ApolloRateLimitPlugin, rateLimitPlugin } from './graphql-apollo.ts'
export { type FieldCostOptions, type OperationCostOptions, costByFields, operationCost } from './graphql-cost.ts'
export { type RateLimitDirective, rateLimitDirective, rateLimitTypeDefs } from './graphql-directive.ts'
export { type EnvelopRateLimitPlugin, useRateLimit } from './graphql-envelop.ts'
export type { GraphqlField, GraphqlFieldOptions } from './graphql-field.ts'
export { type GraphqlOperation, type GraphqlOptions, type GraphqlResult, rateLimitOf } from './graphql-limiter.ts'
export type { RefusalExtensions } from './graphql-refusal.ts'
