// Custom keys: by country, by device, by a business of yours, by the hour.

import express, { type Request } from 'express'
import { boundedLookup, deviceFingerprint, geography, tiered, timeAware } from 'smart-ratelimit'
import { rateLimit } from 'smart-ratelimit/express'

const port = Number(process.env['PORT'] ?? 3000)
const app = express()

// Your provider. `maxmind({ file: 'GeoLite2-Country.mmdb' })` of smart-ratelimit/maxmind is one; here all the world is local.
const lookup = async (address: string): Promise<string | null> => (address.startsWith('127.') || address === '::1' ? 'ES' : null)
const country = boundedLookup(lookup, { timeoutMs: 50 })

// Each client within its country, and a rate for each country. A provider that fails or hangs makes the country "unknown".
app.get(
  '/by-country',
  rateLimit({
    key: geography({ lookup }),
    rate: tiered({ ES: '3/m', unknown: '1/m', '*': '2/m' }, { by: async (request: Request) => country(request.ip) }),
  }),
  (_request, response) => {
    response.send('three a minute from Spain\n')
  },
)

// Several people behind one address, told apart by what their browsers say. Easily forged, so never without the address.
app.get('/by-device', rateLimit({ rate: '3/m', key: ['ip', deviceFingerprint()] }), (_request, response) => {
  response.send('three a minute for each device\n')
})

// A branch office shares its quota, whoever works there. Whoever names no branch is counted by address.
app.get(
  '/by-branch',
  rateLimit({ rate: '3/m', key: (request: Request) => request.get('x-branch')?.toLowerCase() ?? null, onMissingKey: 'ip' }),
  (_request, response) => {
    response.send('three a minute for each branch\n')
  },
)

// New counters at each full hour of UTC.
app.get('/by-hour', rateLimit({ rate: '3/h', key: timeAware({ window: 'hour', base: 'ip' }) }), (_request, response) => {
  response.send('three an hour\n')
})

app.listen(port, (error) => {
  if (error) throw error
  console.log(`Listening. The fourth of each is refused:
  curl -i http://localhost:${port}/by-country
  curl -i -A 'my browser' http://localhost:${port}/by-device
  curl -i -H 'X-Branch: Lugo' http://localhost:${port}/by-branch
  curl -i http://localhost:${port}/by-hour`)
})
