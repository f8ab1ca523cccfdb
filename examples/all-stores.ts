// All stores: memory, SQLite, Redis, PostgreSQL and MySQL. Without servers it runs on a file.

import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import express from 'express'
import { type Store, memoryStore } from 'smart-ratelimit'
import { rateLimit } from 'smart-ratelimit/express'
import { mysqlStore } from 'smart-ratelimit/mysql'
import { postgresStore } from 'smart-ratelimit/postgres'
import { redisStore } from 'smart-ratelimit/redis'
import { sqliteStore } from 'smart-ratelimit/sqlite'

const port = Number(process.env['PORT'] ?? 3000)
const { REDIS_URL, POSTGRES_URL, MYSQL_URL } = process.env

// A file needs no server, survives restarts, and is shared by the processes of one machine. Yours has a fixed path.
const embedded = sqliteStore(join(mkdtempSync(join(tmpdir(), 'smart-ratelimit-')), 'limits.sqlite'))

// Redis needs nothing prepared. A database needs a table, which `setup()` makes: when you deploy, and never while requests are served.
const postgres = POSTGRES_URL === undefined ? undefined : postgresStore({ url: POSTGRES_URL })
const mysql = MYSQL_URL === undefined ? undefined : mysqlStore({ url: MYSQL_URL })
await Promise.all([embedded, postgres, mysql].map((store) => store?.setup()))

// Whatever the store, the options, the algorithms and the answers are the same.
const stores: Readonly<Record<string, Store | undefined>> = {
  memory: memoryStore({ memoryMaxKeys: 100_000 }),
  sqlite: embedded,
  redis: REDIS_URL === undefined ? undefined : redisStore({ url: REDIS_URL }),
  postgres,
  mysql,
}

const app = express()
for (const [name, store] of Object.entries(stores)) {
  app.get(`/${name}`, rateLimit({ name, rate: '3/m', store: store ?? embedded }), (_request, response) => {
    response.send(store === undefined ? `${name} has no address here: counted in the file\n` : `counted by ${name}\n`)
  })
}

app.listen(port, (error) => {
  if (error) throw error
  console.log(`Listening. The fourth of each is refused:
${Object.keys(stores)
  .map((name) => `  curl -i http://localhost:${port}/${name}\n`)
  .join('')}Your own servers come with REDIS_URL=redis://… POSTGRES_URL=postgres://… MYSQL_URL=mysql://…`)
})
