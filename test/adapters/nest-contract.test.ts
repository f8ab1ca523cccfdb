// NestJS on Express and on Fastify against the contract of adapters. What is Nest's alone is in nest.test.ts. Next: contract.ts.

import type { ServerResponse } from 'node:http'
import { All, type ArgumentsHost, Catch, type ExceptionFilter, type INestApplication, Res, UseGuards } from '@nestjs/common'
import { RateLimit, RateLimitException, RateLimitGuard } from '../../src/adapters/nest/index.ts'
import { type App, type ContractOptions, playContract, textOf, told } from './contract.ts'
import { PLATFORMS, controller, guardedModule, serveApp } from './nest-app.ts'

/** What Express's response and Fastify's reply have in common. */
interface AnyReply {
  readonly raw?: ServerResponse
  status(code: number): AnyReply
  header(name: string, value: string): AnyReply
  send(body: string): unknown
}

interface AnyRequest {
  readonly url: string
  readonly rateLimit?: never
}

let limits = 0

function nestOptions({ skipIfHeader, ...options }: ContractOptions): { rate: string } {
  const skipIf = skipIfHeader && ((request: { headers: Record<string, unknown> }) => request.headers[skipIfHeader] !== undefined)
  // Apps of one name share counters here as elsewhere, which Nest's do only if told.
  const group = options.name === undefined ? {} : { group: options.name }
  return { name: `limit-${++limits}`, ...group, ...options, ...(skipIf && { skipIf }) } as never
}

function behave({ behaviour = 'ok', early, onRun }: App, request: AnyRequest, reply: AnyReply): void {
  onRun?.()
  if (early === true) (reply.raw ?? (reply as unknown as ServerResponse)).end('late')
  else if (behaviour === 'throw') throw new Error('mine')
  else if (behaviour === 'own-429') reply.status(429).header('Retry-After', '7').send('mine')
  else if (behaviour === 'status') reply.status(Number(/s=(\d+)/.exec(request.url)?.[1])).send('status')
  else reply.send(behaviour === 'tell' ? told(request.rateLimit) : 'ok')
}

/** Everything but refusals, so that those are answered by the package itself. */
class NoRefusal {
  static [Symbol.hasInstance](exception: unknown): boolean {
    return !(exception instanceof RateLimitException)
  }
}

class ErrorFilter implements ExceptionFilter {
  catch(error: unknown, host: ArgumentsHost): void {
    host.switchToHttp().getResponse<AnyReply>().status(500).send(textOf(error))
  }
}
Catch(NoRefusal)(ErrorFilter)

/** As apps have it that word all errors themselves. */
class EveryFilter implements ExceptionFilter {
  catch(error: unknown, host: ArgumentsHost): void {
    const reply = host.switchToHttp().getResponse<AnyReply>()
    if (!(error instanceof RateLimitException)) reply.status(500).send(textOf(error))
    else reply.status(error.getStatus()).header('content-type', error.contentType).send(error.body)
  }
}
Catch()(EveryFilter)

for (const platform of PLATFORMS) {
  for (const [name, filter] of [
    [`Nest on ${platform}`, ErrorFilter],
    [`Nest on ${platform} with a filter for everything`, EveryFilter],
  ] as const) {
    playContract({
      name,
      serve(app) {
        const limiters = app.limiters ?? []
        const asked = [...new Set(limiters)].map(nestOptions)
        const on = [
          All(platform === 'express' ? '{*path}' : '*'),
          ...(asked.length > 0 ? [RateLimit(...asked)] : []),
          // Met once by the guard of the app, and again by this one.
          ...(asked.length < limiters.length ? [UseGuards(RateLimitGuard)] : []),
        ]
        const handler = (request: AnyRequest, reply: AnyReply): void => behave(app, request, reply)
        const root = controller('RootController', { serve: [on, handler] })
        Res()(root.prototype as object, 'serve', 1)
        const module = guardedModule((app.appWide ?? { defaultRate: null }) as object, [root])
        return serveApp(platform, module, (server: INestApplication) => {
          server.useGlobalFilters(new filter())
          if (app.early === true)
            server.use((_request: unknown, response: ServerResponse, next: () => void) => (response.write('early '), next()))
        })
      },
    })
  }
}
