// A complete project: settings, a shared store, limits for the app and its routes, health, numbers, an operator's door, a clean end.

import express, { type NextFunction, type Request, type Response } from 'express'
import { type Observer, type Store, firstOf, memoryStore, tiered } from 'smart-ratelimit'
import { rateLimit, rateLimitMiddleware } from 'smart-ratelimit/express'
import { redisStore } from 'smart-ratelimit/redis'

// Settings, from the environment.
const settings = {
  port: Number(process.env['PORT'] ?? 3000),
  redisUrl: process.env['REDIS_URL'],
  trustedProxies: Number(process.env['TRUSTED_PROXIES'] ?? 0),
  operator: process.env['OPERATOR_TOKEN'] ?? crypto.randomUUID(),
}

// One store for all limits: Redis where there is one, so that all instances of the app share them; else this process's memory.
const store: Store = settings.redisUrl === undefined ? memoryStore() : redisStore({ url: settings.redisUrl })

// The kill switch is read on every request, so that an incident needs no deployment.
let enabled = true

const refused = new Map<string, number>()
const observer: Observer = {
  onDecision: ({ kind, policy }) => void (kind === 'refused' && refused.set(policy, (refused.get(policy) ?? 0) + 1)),
  onError: (error, where) => console.error(`rate limiting, ${where}:`, error),
}

const common = { store, trustedProxies: settings.trustedProxies, enabled: () => enabled, observers: [observer] }
const app = express()

// Who pays gets more. A key that nobody has been given is no key, so made-up keys are counted by address.
const PLANS: Readonly<Record<string, string>> = { 'key-of-ada': 'free', 'key-of-bob': 'pro' }
const planOf = (request: Request): string | null => PLANS[request.get('x-api-key') ?? ''] ?? null
const customer = firstOf([(request: Request) => (planOf(request) === null ? null : (request.get('x-api-key') ?? null)), 'ip'])

// For the whole app, by path: the longest rule decides.
app.use(
  rateLimitMiddleware({
    ...common,
    name: 'app',
    defaultRate: '100/m',
    rateLimits: { '/login': '20/m', '/operator': '10/m' },
    skipPaths: ['/health'],
  }),
)

// For its routes.
const login = rateLimit({
  ...common,
  name: 'login',
  rate: '3/m, 20/d',
  skipSuccessfulRequests: true,
  penalty: { durationMs: 60_000, factor: 2, maxMs: 3_600_000 },
})
app.post('/login', login, express.json(), (request, response) => {
  const { password } = (request.body ?? {}) as { password?: string }
  response.status(password === 'swordfish' ? 200 : 401).json({ welcome: password === 'swordfish' })
})

const search = rateLimit({
  ...common,
  name: 'search',
  key: customer,
  rate: tiered({ free: '3/m', pro: '6/m', '*': '2/m' }, { by: planOf, default: '*' }),
  cost: (request: Request) => (request.query['deep'] === undefined ? 1 : 2),
})
app.get('/search', search, (request, response) => {
  const { rateLimit: state } = request as { rateLimit?: { remaining: number } }
  response.json({ found: [], left: state?.remaining })
})

// For load balancers and for people.
app.get('/health', (_request, response) => {
  Promise.resolve()
    .then(() => store.ping())
    .then(
      () => response.json({ store: store.name, well: true, enabled }),
      (error: { code?: string }) => response.status(503).json({ store: store.name, well: false, code: error.code }),
    )
})

// For the operator: what is refused, and the kill switch.
function operatorsOnly(request: Request, response: Response, next: NextFunction): void {
  if (request.get('authorization') === `Bearer ${settings.operator}`) next()
  else response.sendStatus(403)
}
app.get('/operator/refused', operatorsOnly, (_request, response) => {
  response.json(Object.fromEntries(refused))
})
app.post('/operator/limits/:state', operatorsOnly, (request, response) => {
  enabled = request.params['state'] !== 'off'
  response.json({ enabled })
})

const server = app.listen(settings.port, (error) => {
  if (error) throw error
  const base = `http://localhost:${settings.port}`
  console.log(`Listening. Try, several times each:
  curl -i -X POST -H 'Content-Type: application/json' -d '{"password":"guess"}' ${base}/login
  curl -i ${base}/search
  curl -i -H 'X-API-Key: key-of-bob' '${base}/search?deep'
  curl -i ${base}/health
  curl -H 'Authorization: Bearer ${settings.operator}' ${base}/operator/refused
  curl -X POST -H 'Authorization: Bearer ${settings.operator}' ${base}/operator/limits/off`)
})

// Requests under way are answered, then the store is closed.
process.once('SIGTERM', () => {
  server.close(() => void Promise.resolve(store.close()).then(() => console.log('Closed.')))
})
