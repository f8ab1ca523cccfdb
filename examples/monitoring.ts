// Monitoring: observers that count decisions, keep an eye on errors, and name the clients that are refused most.

import express from 'express'
import { type Decision, type Observer } from 'smart-ratelimit'
import { rateLimit } from 'smart-ratelimit/express'

const port = Number(process.env['PORT'] ?? 3000)
const app = express()

// An observer hears every decision after it is made. What it throws never reaches the request.
const counts = new Map<string, number>()
const refusals = new Map<string, number>()

function count(map: Map<string, number>, name: string): void {
  map.set(name, (map.get(name) ?? 0) + 1)
}

const observer: Observer = {
  onDecision({ policy, kind, source }: Decision, key: string) {
    count(counts, `policy="${policy}",kind="${kind}",source="${source}"`)
    // Keys made from secrets arrive hashed, so they may be shown.
    if (kind === 'refused') count(refusals, key)
  },
  onError(error, where) {
    console.error(`${where} failed while limiting went on:`, error)
  },
}

app.get('/api', rateLimit({ name: 'api', rate: '3/m', observers: [observer] }), (_request, response) => {
  response.send('hello\n')
})

// A limit that is tried out is watched in the same way: its decisions say `refused`, and nobody is.
app.get('/new', rateLimit({ name: 'new', rate: '1/m', shadow: true, observers: [observer] }), (_request, response) => {
  response.send('hello\n')
})

// In the text format that Prometheus reads.
app.get('/metrics', (_request, response) => {
  response
    .type('text/plain')
    .send([...counts].map(([labels, value]) => `ratelimit_decisions_total{${labels}} ${value}\n`).join(''))
})

app.get('/top', (_request, response) => {
  response.json([...refusals].toSorted(([, a], [, b]) => b - a).slice(0, 10))
})

app.listen(port, (error) => {
  if (error) throw error
  console.log(`Listening. The fourth of these is refused:
  curl -i http://localhost:${port}/api
none of these is, though the limit would refuse the second:
  curl -i http://localhost:${port}/new
and this tells:
  curl http://localhost:${port}/metrics
  curl http://localhost:${port}/top`)
})
