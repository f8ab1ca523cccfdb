// ws: connections answered with 429 before the handshake, and a rate for messages.

import { WebSocketServer } from 'ws'
import { rateLimitConnections, rateLimitMessages } from 'smart-ratelimit/ws'

const port = Number(process.env['PORT'] ?? 3000)

const connections = rateLimitConnections({ rate: '4/m' })
const server = new WebSocketServer({ port, verifyClient: connections.verifyClient })

// The fourth message of a minute closes the connection, with 1008 and the reason.
server.on('connection', rateLimitMessages({ rate: '3/m' }))

server.on('connection', (socket) => {
  socket.on('message', (data: Buffer) => socket.send(`heard ${data.toString()}`))
})

server.on('listening', () => {
  console.log(`Listening. The fifth of these within a minute is refused:
  curl -i --max-time 1 -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' \\
    -H 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==' http://localhost:${port}/`)
})
