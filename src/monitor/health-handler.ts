// Health over HTTP, for any framework. Promise: answers within its timeout, 200 while something can decide and 503 when nothing can; asks
// the stores at most once a second however often it is asked; tells strangers no more than that. Next: ask-stores.ts.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { monotonicMs } from '../core/clock.ts'
import { ConfigError } from '../core/errors.ts'
import type { MaybePromise } from '../core/maybe.ts'
import { checkNames } from '../core/check-names.ts'
import type { Store } from '../stores/store.ts'
import { checkStores, checkWhole } from './exporter.ts'
import { type Health, type HealthOptions, healthOf } from './ask-stores.ts'
import { healthJson } from './health-json.ts'

/** Options of {@link healthHandler} and {@link healthListener}. `Request` is what the handler is called with. */
export interface HealthHandlerOptions<Request> extends HealthOptions {
  /**
   * `readiness` (default): can requests be decided? · `liveness`: does this process answer? A restart does not make a store well, so
   * that this asks none.
   */
  readonly probe?: 'readiness' | 'liveness'
  /** Tell of each store: latency, breaker, errors (default false). A function says for whom. */
  readonly details?: boolean | ((request: Request) => MaybePromise<boolean>)
  /** Ms for which an answer of the stores is told again (default 1000). */
  readonly cacheMs?: number
}

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/**
 * A handler of the fetch standard: `export const GET = healthHandler(store)`. Off until you mount it.
 * @throws ConfigError for what is no store, or an option that is unknown or wrong
 */
export function healthHandler(
  store: Store,
  options: HealthHandlerOptions<Request> = {},
): (request: Request) => Promise<Response> {
  const answer = answering(store, options, 'healthHandler')
  return async (request) => {
    const { status, headers, body } = await answer(request.method, request)
    return new Response(request.method === 'HEAD' ? null : body, { status, headers })
  }
}

/**
 * The same as a listener of node:http, which Express, connect and Fastify's raw requests take too: `app.get('/health', healthListener(store))`.
 * @throws ConfigError for what is no store, or an option that is unknown or wrong
 */
export function healthListener<Request extends IncomingMessage = IncomingMessage>(
  store: Store,
  options: HealthHandlerOptions<Request> = {},
): (request: Request, response: ServerResponse) => void {
  const answer = answering(store, options, 'healthListener')
  return (request, response) => {
    void answer(request.method ?? 'GET', request).then(({ status, headers, body }) => {
      if (response.headersSent) return
      response.writeHead(status, headers)
      response.end(request.method === 'HEAD' ? undefined : body)
    })
  }
}

function answering<Request>(
  store: Store,
  options: HealthHandlerOptions<Request>,
  option: string,
): (method: string, request: Request) => Promise<Answer> {
  checkNames(options, ['timeoutMs', 'probe', 'details', 'cacheMs'], option)
  checkStores([store], `${option}(store)`)
  const { timeoutMs = 2000, probe = 'readiness', details = false, cacheMs = 1000 } = options
  checkWhole(timeoutMs, `${option}.timeoutMs`, 1, 600_000)
  checkWhole(cacheMs, `${option}.cacheMs`, 0, 600_000)
  if (probe !== 'readiness' && probe !== 'liveness') throw new ConfigError(`${option}.probe`, 'readiness or liveness', probe)
  if (typeof details !== 'boolean' && typeof details !== 'function')
    throw new ConfigError(`${option}.details`, 'true, false or a function', details)
  const ask = remembering(() => healthOf(store, { timeoutMs }), cacheMs)

  return async (method, request) => {
    if (method !== 'GET' && method !== 'HEAD') return json(405, { error: 'GET or HEAD' }, { allow: 'GET, HEAD' })
    if (probe === 'liveness') return json(200, { healthy: true, status: 'alive' })
    try {
      const [health, isTold] = await Promise.all([ask(), typeof details === 'function' ? told(details, request) : details])
      const { status } = health
      const healthy = status !== 'down'
      return json(healthy ? 200 : 503, isTold ? healthJson(health) : { healthy, status })
    } catch {
      // The shape of the original's failure, without what it was.
      return json(503, { error: 'the health check failed', healthy: false })
    }
  }
}

/** One question at a time, whose answer is told again for a while. */
function remembering(ask: () => Promise<Health>, cacheMs: number): () => Promise<Health> {
  let asked: Promise<Health> | undefined
  let answeredAt = -Infinity
  return () => {
    if (asked !== undefined && monotonicMs() - answeredAt < cacheMs) return asked
    answeredAt = Infinity
    const question = ask().finally(() => {
      answeredAt = monotonicMs()
    })
    asked = question
    return question
  }
}

/** Whether the app wants this request told more; not where its function fails. */
async function told<Request>(details: (request: Request) => MaybePromise<boolean>, request: Request): Promise<boolean> {
  try {
    const answer: unknown = await details(request)
    return answer === true
  } catch {
    return false
  }
}

function json(status: number, body: unknown, more: Readonly<Record<string, string>> = {}): Answer {
  const headers = {
    'content-type': 'application/json; charset=utf-8',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...more,
  }
  return { status, headers, body: JSON.stringify(body) }
}
