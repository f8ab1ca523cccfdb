// The contract's handlers on node:http responses, for the harnesses of frameworks that hand those over. Next: contract.ts.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { type App, type ContractOptions, told } from './contract.ts'

/** Options as a framework on node:http takes them: functions get its request. */
export function nodeOptions({ skipIfHeader, ...options }: ContractOptions): Record<string, unknown> & { rate: string } {
  const skipIf = skipIfHeader && ((request: IncomingMessage) => request.headers[skipIfHeader] !== undefined)
  return { ...options, ...(skipIf && { skipIf }) } as never
}

/** A limiter per options object: the same object is the same limiter. */
export function eachOnce<Limiter>(options: App['limiters'], make: (one: ContractOptions) => Limiter): Limiter[] {
  const made = new Map<ContractOptions, Limiter>()
  return (options ?? []).map((one) => {
    const limiter = made.get(one) ?? make(one)
    made.set(one, limiter)
    return limiter
  })
}

/** Answers as the app behaves. */
export function behave({ behaviour = 'ok', early, onRun }: App, request: IncomingMessage, response: ServerResponse): void {
  onRun?.()
  if (early === true) {
    response.end('late')
    return
  }
  switch (behaviour) {
    case 'ok':
      response.end('ok')
      break
    case 'tell':
      response.end(told((request as { rateLimit?: never }).rateLimit))
      break
    case 'throw':
      throw new Error('mine')
    case 'own-429':
      response.statusCode = 429
      response.setHeader('Retry-After', '7')
      response.end('mine')
      break
    case 'status':
      response.statusCode = Number(/s=(\d+)/.exec(request.url ?? '')?.[1])
      response.end('status')
  }
}
