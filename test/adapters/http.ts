// A real server for a handler, and requests to it over a socket, for the adapters' tests.

import { type IncomingHttpHeaders, type IncomingMessage, type ServerResponse, createServer, request } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'

export interface Reply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface TestServer extends AsyncDisposable {
  readonly port: number
  get(path: string, headers?: Record<string, string | string[]>, method?: string): Promise<Reply>
  /** Sends a request and does not wait for the answer; `leave` drops the connection and resolves when the server has noticed. */
  abandon?(path: string): { leave(): Promise<void> }
}

/** Serves on a free port of the loopback interface. The path is sent as it is, without the repairs of a URL parser. */
export async function serve(listener: (request: IncomingMessage, response: ServerResponse) => unknown): Promise<TestServer> {
  const server = createServer((incoming, response) => void listener(incoming, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const connections = new Set<Promise<unknown>>()
  server.on('connection', (socket) => void connections.add(once(socket, 'close')))
  return {
    port,
    abandon: (path) => {
      const sent = request({ host: '127.0.0.1', port, path, agent: false })
      // The connection is dropped on purpose.
      sent.on('error', () => {})
      sent.end()
      return {
        leave: async () => {
          sent.destroy()
          await Promise.all(connections)
        },
      }
    },
    get: (path, headers = {}, method = 'GET') =>
      new Promise((resolve, reject) => {
        const sent = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, (response) => {
          const chunks: Buffer[] = []
          response.on('data', (chunk: Buffer) => chunks.push(chunk))
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks).toString() }),
          )
          response.on('error', reject)
        })
        sent.on('error', reject)
        sent.end()
      }),
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
