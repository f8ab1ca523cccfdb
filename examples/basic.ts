// Basic: whom to count. By address, by user, by session, by API key.

import express, { type Request } from 'express'
import { rateLimit } from 'smart-ratelimit/express'

const port = Number(process.env['PORT'] ?? 3000)
const app = express()

// Your login and your sessions would do this: here a header names the user, and a cookie the session.
app.use((request: Request & { user?: { id: string }; sessionID?: string }, _response, next) => {
  const user = request.get('x-user')
  const session = /sid=(\w+)/.exec(request.get('cookie') ?? '')?.[1]
  if (user !== undefined) request.user = { id: user }
  if (session !== undefined) request.sessionID = session
  next()
})

app.get('/by-address', rateLimit({ rate: '3/m', key: 'ip' }), (_request, response) => {
  response.send('three a minute for each address\n')
})

// Anybody who is not logged in is counted by address.
app.get('/by-user', rateLimit({ rate: '3/m', key: 'user' }), (_request, response) => {
  response.send('three a minute for each user\n')
})

// A request without a session is an error, unless you say what it should be.
app.get('/by-session', rateLimit({ rate: '3/m', key: 'session', onMissingKey: 'ip' }), (_request, response) => {
  response.send('three a minute for each session\n')
})

// Keys are hashed before they are stored.
app.get('/by-api-key', rateLimit({ rate: '3/m', key: 'api_key', onMissingKey: 'deny' }), (_request, response) => {
  response.send('three a minute for each API key\n')
})

app.listen(port, (error) => {
  if (error) throw error
  console.log(`Listening. The fourth of each is refused:
  curl -i http://localhost:${port}/by-address
  curl -i -H 'X-User: ada' http://localhost:${port}/by-user
  curl -i -H 'Cookie: sid=abc' http://localhost:${port}/by-session
  curl -i -H 'X-API-Key: mine' http://localhost:${port}/by-api-key`)
})
