// Tenants: one counter for each customer, a quota of its own for each, and no way into another's.

import express, { type Request } from 'express'
import { tenant } from 'smart-ratelimit'
import { rateLimit } from 'smart-ratelimit/express'

const port = Number(process.env['PORT'] ?? 3000)
const app = express()

type Known = Request & { user?: { id: string; tenantId: string } }

// Your login would do this: here a header names the user, and a table the tenant that the user belongs to.
const TENANTS: Readonly<Record<string, string>> = { ada: 'acme', bob: 'acme', eve: 'globex' }
app.use((request: Known, _response, next) => {
  const id = request.get('x-user')
  const tenantId = TENANTS[id ?? '']
  if (id !== undefined && tenantId !== undefined) request.user = { id, tenantId }
  next()
})

// What each customer has paid for. A database may answer later: the function may be async.
const QUOTAS: Readonly<Record<string, string>> = { acme: '3/m', globex: '5/m' }
const tenantOf = (request: Known): string | null => request.user?.tenantId ?? request.get('x-tenant-id') ?? null

// A user's tenant is the user's. The header counts for requests without one, such as those of other services.
app.get(
  '/orders',
  rateLimit({
    key: tenant<Known>({ from: (request) => request.user?.tenantId, header: 'x-tenant-id' }),
    rate: (request: Known) => QUOTAS[tenantOf(request) ?? ''] ?? '1/m',
    onMissingKey: 'deny',
  }),
  (_request, response) => {
    response.send('orders\n')
  },
)

app.listen(port, (error) => {
  if (error) throw error
  console.log(`Listening. Ada and Bob share the quota of Acme, so the fourth of these is refused:
  curl -i -H 'X-User: ada' http://localhost:${port}/orders
  curl -i -H 'X-User: bob' http://localhost:${port}/orders
and Ada cannot pass for another tenant:
  curl -i -H 'X-User: ada' -H 'X-Tenant-Id: globex' http://localhost:${port}/orders`)
})
