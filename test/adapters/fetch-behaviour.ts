// The contract's handlers by the fetch standard, and a place to play them that speaks the language of the socket tests.

import type { RequestRateLimit } from '../../src/http/request-rate-limit.ts'
import { type App, type ContractOptions, textOf, told } from './contract.ts'
import type { Reply } from './http.ts'

/** Options as the adapter takes them: functions get a Request. */
export function fetchOptions({ skipIfHeader, ...options }: ContractOptions): { rate: string } {
  const skipIf = skipIfHeader && ((request: Request) => request.headers.has(skipIfHeader))
  return { ...options, ...(skipIf && { skipIf }) } as never
}

/** A handler that answers as the app behaves. */
export function fetchHandler(
  { behaviour = 'ok', onRun }: App,
  rateLimitOf: (request: Request) => RequestRateLimit | undefined,
): (request: Request) => Response {
  return (request) => {
    onRun?.()
    switch (behaviour) {
      case 'throw':
        throw new Error('mine')
      case 'tell':
        return new Response(told(rateLimitOf(request)))
      case 'own-429':
        return new Response('mine', { status: 429, headers: { 'Retry-After': '7' } })
      case 'status':
        return new Response('status', { status: Number(new URL(request.url).searchParams.get('s')) })
      case 'ok':
        return new Response('ok')
    }
  }
}

/** Plays requests on a handler; what it throws is answered as a platform would. */
export async function serveFetch(handler: (request: Request, info: { ip: string }) => unknown) {
  return {
    async get(path: string, headers: Record<string, string | string[]> = {}, method = 'GET'): Promise<Reply> {
      const target = path.startsWith('http') ? path : `http://localhost${path}`
      const request = new Request(target, { method, headers: headers as Record<string, string> })
      let response: Response
      try {
        response = (await handler(request, { ip: '127.0.0.1' })) as Response
      } catch (error) {
        response = new Response(textOf(error), { status: 500 })
      }
      const body = method === 'HEAD' ? '' : await response.text()
      return { status: response.status, headers: Object.fromEntries(response.headers), body }
    },
    [Symbol.asyncDispose]: async () => {},
  }
}
