// GraphQL Yoga: a limit for operations by what they cost, and one for a field by directive.

import { createServer } from 'node:http'
import { createSchema, createYoga } from 'graphql-yoga'
import { costByFields, rateLimitDirective, useRateLimit } from 'smart-ratelimit/graphql'

const port = Number(process.env['PORT'] ?? 3000)

const { typeDefs, apply } = rateLimitDirective()

const schema = apply(
  createSchema({
    typeDefs: [
      typeDefs,
      /* GraphQL */ `
        type Query {
          hello: String!
          search(text: String!): [String!] @rateLimit(rate: "3/m")
        }
      `,
    ],
    resolvers: { Query: { hello: () => 'world', search: (_parent, { text }: { text: string }) => [`found ${text}`] } },
  }),
)

// Each field of an operation costs one, however it is spelt: aliases and fragments count.
const yoga = createYoga({ schema, plugins: [useRateLimit({ rate: '10/m', cost: costByFields() })] })

createServer((request, response) => void yoga(request, response)).listen(port, () => {
  console.log(`Listening. The fourth of these is refused:
  curl -i 'http://localhost:${port}/graphql?query=%7Bsearch(text:"cats")%7D'
and so is any operation once ten fields have been asked for:
  curl -i 'http://localhost:${port}/graphql?query=%7Ba:hello,b:hello,c:hello%7D'`)
})
