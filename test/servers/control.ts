// How workers reach the main process, where the shared servers live: loopback HTTP. Promise: a run in which nobody asks starts nothing,
// not even the code that could. Next: shared-servers.ts.

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { CONTROL_VARIABLE, SERVER_VARIABLES, type ServerKind, installMissing } from './programs.ts'
import { clearRunFolder, makeRunFolder } from './run-folder.ts'
import type { Found } from './shared-servers.ts'

/** Listens on a free port, which all processes started from now on find in their environment. Resolves to what ends it all. */
export async function openControl(): Promise<() => Promise<void>> {
  const folder = makeRunFolder()
  const server = createServer((request, response) => {
    const answer = (text: string): void => void response.end(text)
    const path = request.url?.slice(1) ?? ''
    if (path === 'install') void installMissing().then(answer)
    else if (path in SERVER_VARIABLES) {
      void import('./shared-servers.ts')
        .then(({ sharedServer }) => sharedServer(path as ServerKind))
        .catch((error: unknown): Found => ({ kind: 'broken', reason: String(error) }))
        .then((found) => answer(JSON.stringify(found)))
    } else response.writeHead(404).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  server.unref()
  process.env[CONTROL_VARIABLE] = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return async () => {
    delete process.env[CONTROL_VARIABLE]
    server.close()
    server.closeAllConnections()
    const { stopSharedServers } = await import('./shared-servers.ts')
    await stopSharedServers()
    clearRunFolder(folder)
  }
}

/** Asks for a shared server, from a worker. */
export async function askControl(kind: ServerKind): Promise<Found> {
  const control = process.env[CONTROL_VARIABLE]
  if (control === undefined) throw new Error('Shared servers are there in a vitest run alone; elsewhere start your own')
  return (await (await fetch(`${control}/${kind}`)).json()) as Found
}
