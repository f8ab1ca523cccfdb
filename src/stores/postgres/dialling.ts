// Sockets for postgres.js. By itself it tries again at once, and for ever, when a server closes a connection in order before it is made,
// as load balancers without a server behind them do. Promise: such a connection fails, as one does that was reset. Next: own-pool.ts.

import type { NetConnectOpts, Socket } from 'node:net'

/** Makes sockets to one address, which the driver writes to before they are connected. */
export function dialling(address: NetConnectOpts): () => Promise<Socket> {
  return async () => {
    // Only who connects by this driver needs it.
    const { connect } = await import('node:net')
    const socket = connect(address)
    socket.on('end', () => {
      if (!socket.writableEnded)
        socket.destroy(Object.assign(new Error('the server closed the connection'), { code: 'ECONNRESET' }))
    })
    // What the driver takes for the server's name, in TLS and in errors.
    return Object.assign(socket, address)
  }
}
