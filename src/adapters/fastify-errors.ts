// Who answers a Fastify request's errors: the app, or nobody but Fastify? Promise: in doubt the app. Next: fastify-limiter.ts.

import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify'

/** Routes with an error handler of their own, by app; requests do not show it. */
const routes = new WeakMap<object, Set<string>>()

/** Notes a route, for the hook `onRoute`. */
export function noteErrorHandler(app: FastifyInstance, { method, url, errorHandler }: RouteOptions): void {
  if (errorHandler === undefined) return
  const known = routes.get(app.server) ?? new Set()
  routes.set(app.server, known)
  for (const one of [method].flat()) known.add(`${one} ${url}`)
}

/** Whether the app, a plugin around it or the route has an error handler. */
export function hasErrorHandler({ server, method, routeOptions }: FastifyRequest): boolean {
  // Fastify's own has this name, and no other sign.
  if ((server.errorHandler as { name?: string } | undefined)?.name !== 'defaultErrorHandler') return true
  const known = routes.get(server.server)
  return known !== undefined && (known.has(`${method} ${routeOptions.url}`) || known.has(`GET ${routeOptions.url}`))
}
