// Monitoring: metrics for Prometheus, a health check, who is refused most, a limit that is tried out, and an observer of one's own.

import express from 'express'
import { addObserver, memoryStore } from 'smart-ratelimit'
import { rateLimit } from 'smart-ratelimit/express'
import { healthListener } from 'smart-ratelimit/health'
import { prometheusMetrics } from 'smart-ratelimit/metrics'
import { liveView } from 'smart-ratelimit/monitor'

const port = Number(process.env['PORT'] ?? 3000)
const app = express()
const store = memoryStore()

// Both watch every limiter of the process, those that exist and those to come.
const metrics = prometheusMetrics({ stores: [store] })
const view = liveView()

// An observer hears every decision after it is made. What it throws never reaches the request.
addObserver({
  onRefused({ policy, retryAfterMs }, key, { request }) {
    // Keys made from secrets arrive hashed, so they may be shown.
    console.log(`${policy}: refused ${key} at ${request?.method} ${request?.route}, again in ${retryAfterMs} ms`)
  },
  onError(error, where) {
    console.error(`${where} failed while limiting went on:`, error)
  },
})

app.get('/api', rateLimit({ name: 'api', rate: '3/m', store }), (_request, response) => {
  response.send('hello\n')
})

// A limit that is tried out: its decisions say what it would refuse, and nobody is refused.
app.get('/new', rateLimit({ name: 'new', rate: '1/m', shadow: true, store }), (_request, response) => {
  response.send('hello\n')
})

app.get('/health', healthListener(store))

// Whoever serves these decides who may read them.
app.get('/metrics', (_request, response) => {
  response.type(metrics.contentType).send(metrics.prometheusText())
})

app.get('/top', (_request, response) => {
  response.json(view.offenders(10).map(({ key, count }) => [key, count]))
})

app.get('/shadow', (_request, response) => {
  response.json(view.snapshot().shadow)
})

app.listen(port, (error) => {
  if (error) throw error
  console.log(`Listening. The fourth of these is refused:
  curl -i http://localhost:${port}/api
none of these is, though the limit would refuse the second:
  curl -i http://localhost:${port}/new
and this tells:
  curl http://localhost:${port}/metrics
  curl http://localhost:${port}/top
  curl http://localhost:${port}/shadow
  curl http://localhost:${port}/health`)
})
