// Who is calling: the request, the response and the client behind an ExecutionContext of any kind. Promise: a context of a kind nobody has
// heard of, or without a request, reads as a call by nobody, and never crashes. Next: nest-exchange.ts.

import type { ExecutionContext } from '@nestjs/common'
import { warnOnce } from '../../http/gate.ts'

/** What is read of a request. */
export interface RequestParts {
  readonly headers?: unknown
  readonly method?: unknown
  readonly url?: unknown
  readonly ip?: unknown
  /** socket.io's handshake has it. */
  readonly address?: unknown
  readonly socket?: { readonly remoteAddress?: unknown } | null | undefined
  readonly user?: unknown
  readonly session?: unknown
  readonly sessionID?: unknown
}

/** What is read of, and written to, a response. */
export interface ResponseParts {
  readonly headersSent?: unknown
  readonly sent?: unknown
  readonly raw?: ResponseParts
  readonly statusCode?: number
  setHeader?(name: string, value: string): unknown
  header?(name: string, value: string): unknown
  once?(event: 'finish', call: () => void): unknown
}

/** One call. */
export interface Call {
  /** What functions of the app are called with. */
  readonly subject: object
  /** What a handler finds its standing on. */
  readonly holder: object | undefined
  readonly request: RequestParts | undefined
  readonly response: ResponseParts | undefined
}

type Part = Readonly<Record<string, unknown>>

/** Reads a context. */
export function callOf(context: ExecutionContext, kind: string): Call {
  switch (kind) {
    case 'http': {
      const http = context.switchToHttp()
      const request = http.getRequest<object>()
      return { subject: request, holder: request, request, response: http.getResponse<ResponseParts>() }
    }
    case 'graphql':
      return graphqlCall(partOf(context.getArgByIndex(2)))
    case 'ws':
      return socketCall(partOf(context.switchToWs().getClient()))
    case 'rpc': {
      const rpc = context.switchToRpc()
      const served = partOf(rpc.getContext())
      const subject = { data: rpc.getData<unknown>(), context: served }
      return { subject, holder: served, request: peerOf(served), response: undefined }
    }
    default: {
      const args = context.getArgs<unknown[]>().map(partOf)
      const request = args.find((arg) => isObject(arg['headers']))
      const subject = request ?? args.find((arg) => Object.keys(arg).length > 0) ?? {}
      return { subject, holder: request, request, response: undefined }
    }
  }
}

/** Drivers put the request and the response into the context by different names; for subscriptions, some under `extra`. */
function graphqlCall(served: Part): Call {
  const { reply, extra } = served
  const response = [served['res'], reply, served['response']].find(isResponse)
  const among = [served['req'], served['request'], partOf(reply)['request'], partOf(extra)['request'], partOf(response)['req']]
  const request = among.find((one) => isObject(one) && isObject(one['headers'])) as (Part & RequestParts) | undefined
  if (request === undefined) {
    warnOnce('the GraphQL context has no request to see a client by; put it there: context: ({ req, res }) => ({ req, res })')
  }
  const own = partOf((request as { res?: unknown } | undefined)?.res)
  return {
    subject: request ?? served,
    holder: request ?? served,
    request,
    response: response ?? (isResponse(own) ? own : undefined),
  }
}

function socketCall(client: Part): Call {
  // socket.io has a handshake, others the request that was upgraded, ws nothing but the socket.
  const { handshake, request, upgradeReq, _socket: socket } = client
  const found = [handshake, request, upgradeReq].find((one) => isObject(one) && isObject(one['headers'])) as
    | RequestParts
    | undefined
  const user = client['user'] ?? partOf(client['data'])['user'] ?? found?.user
  const shown: RequestParts = {
    headers: found?.headers ?? {},
    method: 'GET',
    url: found?.url ?? '/',
    ip: found?.address,
    socket: (found?.socket ?? socket) as RequestParts['socket'],
    user,
    session: found?.session,
    sessionID: found?.sessionID,
  }
  return { subject: client, holder: client, request: shown, response: undefined }
}

/** What a microservice's transport tells of the other side: TCP its socket, gRPC an address. */
function peerOf(served: Part): RequestParts {
  const reference: unknown =
    typeof served['getSocketRef'] === 'function' ? (served['getSocketRef'] as () => unknown).call(served) : undefined
  return {
    headers: {},
    method: 'POST',
    url: '/',
    socket: partOf(reference)['socket'] as RequestParts['socket'],
    user: served['user'],
  }
}

function isResponse(value: unknown): value is ResponseParts {
  const { setHeader, header } = partOf(value)
  return typeof setHeader === 'function' || typeof header === 'function'
}

function isObject(value: unknown): value is Part {
  return typeof value === 'object' && value !== null
}

function partOf(value: unknown): Part {
  return isObject(value) ? value : {}
}
