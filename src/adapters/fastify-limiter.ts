// One limiter on Fastify. Promise: where the app has an error handler of its own, a refusal is an error it can answer; where it has none,
// the answer is the same as on every other framework. Next: ../http/gatekeeper.ts.

import type { FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify'
import type { Decision } from '../core/decision.ts'
import { ConfigError } from '../core/errors.ts'
import { type MaybePromise, isPromise } from '../core/maybe.ts'
import { type Exchange, ownerId } from '../http/exchange.ts'
import type { GateOptions } from '../http/gate.ts'
import { Gatekeeper, gateOptionsOf } from '../http/gatekeeper.ts'
import type { HeaderTarget } from '../http/headers.ts'
import { RefusalError } from '../http/refusal-error.ts'
import { RequestRateLimit } from '../http/request-rate-limit.ts'
import type { Around } from '../http/wrap.ts'
import { hasErrorHandler } from './fastify-errors.ts'
import { lookAtFastify } from './proxy-trust.ts'

/** Options of a limiter on Fastify. Functions are called with the Fastify request. */
export interface FastifyLimiterOptions<Request = FastifyRequest> extends GateOptions<Request> {
  /** Answers a refusal itself, by the reply, whose headers and status are set; an Error it returns goes to the error handler. */
  readonly onLimited?: (request: Request, reply: FastifyReply, decision: Decision) => unknown
  /** False: the request was not worth counting, and its cost is given back. Called when the response has been sent. */
  readonly countWhen?: (reply: FastifyReply, request: Request) => boolean
}

const GO = Symbol('go')
const go = (): typeof GO => GO

/** One limiter. */
export class FastifyLimiter {
  readonly #keeper: Gatekeeper<FastifyExchange>
  /** Whether the app's settings have been looked at. */
  #looked: boolean

  /** @throws ConfigError for anything that is wrong with the options */
  constructor(options: FastifyLimiterOptions<never>, option: string) {
    const own = gateOptionsOf(options, option, ['onLimited', 'countWhen'])
    const { onLimited, countWhen } = options
    this.#looked = options.trustedProxies !== undefined
    this.#keeper = new Gatekeeper(own, option, {
      countWhen: countWhen && (({ reply, raw }) => countWhen(reply, raw as never)),
      refuse: ({ raw: request, reply }, answer, decision) => {
        reply.code(answer.status)
        for (const [name, value] of answer.headers) reply.header(name, value)
        if (onLimited !== undefined) return onLimited(request as never, reply, decision)
        if (hasErrorHandler(request)) return new RefusalError(decision, answer)
        // As bytes, which no serialiser of the app touches.
        reply.header('content-type', answer.contentType).send(new TextEncoder().encode(answer.body))
        return undefined
      },
    })
  }

  /** As a hook with a callback. */
  handle(request: FastifyRequest, reply: FastifyReply, done: HookHandlerDoneFunction): void {
    if (!this.#looked) this.#look(request)
    let passed: unknown
    try {
      passed = this.#keeper.pass(new FastifyExchange(request, reply), go)
    } catch (error) {
      done(error as Error)
      return
    }
    const settle = (value: unknown): void => {
      if (value === GO) done()
      else if (value instanceof Error) done(value)
    }
    if (isPromise(passed)) void passed.then(settle, (error: Error) => done(error))
    else settle(passed)
  }

  /** Decides without a reply. */
  check(request: FastifyRequest): MaybePromise<Decision> {
    if (!this.#looked) this.#look(request)
    return this.#keeper.decide(new FastifyExchange(request, undefined as unknown as FastifyReply))
  }

  /** Around one handler. Refused, it throws or has replied. */
  readonly around: Around = (parameters, run) => {
    const at = parameters.findIndex((one, i) => isPair(one, parameters[i + 1]))
    if (at < 0) throw new ConfigError('the rate limited handler', 'a request and a reply among its arguments', parameters[0])
    const [request, reply] = [parameters[at] as FastifyRequest, parameters[at + 1] as FastifyReply]
    if (!this.#looked) this.#look(request)
    let ran = false
    const settle = (value: unknown): unknown => {
      if (ran) return value
      if (value instanceof Error) throw value
      // To an async handler, the reply says that it has been sent.
      return reply
    }
    const passed = this.#keeper.pass(new FastifyExchange(request, reply), () => {
      ran = true
      return run()
    })
    return !ran && isPromise(passed) ? passed.then(settle) : settle(passed)
  }

  #look(request: FastifyRequest): void {
    this.#looked = true
    lookAtFastify(request)
  }
}

function isPair(request: unknown, reply: unknown): boolean {
  return (
    typeof (request as { headers?: unknown } | null)?.headers === 'object' &&
    typeof (reply as FastifyReply | null)?.code === 'function'
  )
}

class FastifyExchange implements Exchange, HeaderTarget {
  readonly raw: FastifyRequest
  readonly reply: FastifyReply

  constructor(raw: FastifyRequest, reply: FastifyReply) {
    this.raw = raw
    this.reply = reply
  }

  get mark(): RequestRateLimit | undefined {
    const found: unknown = (this.raw as { rateLimit?: unknown }).rateLimit
    return found instanceof RequestRateLimit ? found : undefined
  }

  set mark(mark: RequestRateLimit | undefined) {
    ;(this.raw as { rateLimit?: unknown }).rateLimit = mark
  }

  get open(): HeaderTarget | undefined {
    const { reply } = this
    return reply.sent || reply.raw.headersSent ? undefined : this
  }

  setHeader(name: string, value: string): void {
    this.reply.header(name, value)
  }

  whenSent(call: (status: number) => void): void {
    const { raw } = this.reply
    raw.once('finish', () => call(raw.statusCode))
  }

  get method(): string {
    return this.raw.method
  }

  get url(): string {
    return this.raw.url
  }

  get route(): string | undefined {
    return this.raw.routeOptions.url
  }

  get ip(): string | undefined {
    return this.raw.ip
  }

  get peer(): string | undefined {
    return this.raw.socket.remoteAddress
  }

  get user(): string | undefined {
    return ownerId((this.raw as { user?: unknown }).user)
  }

  get session(): string | undefined {
    const { session } = this.raw as { session?: { sessionId?: unknown } }
    return typeof session?.sessionId === 'string' ? session.sessionId : ownerId(session)
  }

  header(name: string): string | undefined {
    const value = this.raw.headers[name]
    return Array.isArray(value) ? value.join(', ') : value
  }
}
