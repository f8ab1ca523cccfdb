// Socket.IO: a rule for connections, rates for events, and what a refused client hears.

import { Server } from 'socket.io'
import { rateLimitConnections, rateLimitMessages } from 'smart-ratelimit/socket-io'

const port = Number(process.env['PORT'] ?? 3000)
const io = new Server(port)

io.use(rateLimitConnections({ rate: '4/m' }))
io.on('connection', rateLimitMessages({ rate: '20/s', events: { chat: '3/m', typing: null } }))

io.on('connection', (socket) => {
  socket.on('chat', (text: string, done: (answer: unknown) => void) => {
    io.emit('chat', text)
    done({ sent: text })
  })
})

console.log(`Listening. A client that sends four messages, of which the fourth is refused:
  PORT=${port} node examples/clients/socket-io.ts
Its fifth connection within a minute is refused itself.`)
