// Express 4 and 5 against the contract of adapters. What is Express's alone is in express.test.ts. Next: contract.ts.

import type { RequestListener } from 'node:http'
import express5 from 'express'
import express4 from 'express4'
import { rateLimit, rateLimitMiddleware } from '../../src/adapters/express.ts'
import { playContract, textOf } from './contract.ts'
import { serve } from './http.ts'
import { behave, eachOnce, nodeOptions } from './node-behaviour.ts'

const majors: readonly (readonly [string, typeof express5])[] = [
  ['Express 5', express5],
  ['Express 4', express4 as unknown as typeof express5],
]

for (const [name, express] of majors) {
  playContract({
    name,
    serve(app) {
      const server = express()
      if (app.early === true) server.use((_request, response, next) => (response.write('early '), next()))
      if (app.appWide !== undefined) server.use(rateLimitMiddleware(app.appWide as object))
      for (const limiter of eachOnce(app.limiters, (one) => rateLimit(nodeOptions(one)))) server.use(limiter)
      server.use((request, response) => behave(app, request, response))
      server.use((error: Error, _request: unknown, response: express5.Response, _next: unknown) => {
        response.status(500).end(textOf(error))
      })
      return serve(server as RequestListener)
    },
  })
}
