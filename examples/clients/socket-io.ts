// A client of examples/socket-io.ts: sends four messages and says what comes back.

import { io } from 'socket.io-client'

const socket = io(`http://localhost:${process.env['PORT'] ?? 3000}`, { reconnection: false })

socket.on('connect_error', (error) => {
  console.log('the connection is refused:', error.message)
})

socket.on('connect', async () => {
  for (const text of ['one', 'two', 'three', 'four']) console.log(text, await socket.emitWithAck('chat', text))
  socket.disconnect()
})
