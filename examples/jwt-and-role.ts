// JWT and role: verified claims as keys, and rates that follow the role.

import express, { type Request } from 'express'
import { SignJWT, jwtVerify } from 'jose'
import { firstOf, jwtClaim, role, tiered } from 'smart-ratelimit'
import { rateLimit } from 'smart-ratelimit/express'

const port = Number(process.env['PORT'] ?? 3000)
const app = express()

// Your login service signs tokens, and publishes the keys they are verified with. Here both are one secret.
const secret = crypto.getRandomValues(new Uint8Array(32))
const sign = (subject: string, theirRole: string): Promise<string> =>
  new SignJWT({ role: theirRole }).setProtectedHeader({ alg: 'HS256' }).setSubject(subject).setExpirationTime('1h').sign(secret)
const verify = async (token: string) => (await jwtVerify(token, secret)).payload

// By a claim of the token. A token that does not verify is none, and its bearer is counted by address.
app.get('/by-token', rateLimit({ rate: '3/m', key: firstOf([jwtClaim({ verify }), 'ip']) }), (_request, response) => {
  response.send('three a minute for each subject\n')
})

// By the user with a role, which a middleware of yours has read from the verified token.
type Known = Request & { user?: { id: string; role: string } }
const roleOf = (request: Known): string | null => request.user?.role ?? null

app.use((request: Known, _response, next) => {
  verify(request.get('authorization')?.replace(/^Bearer /, '') ?? '').then(
    (claims) => {
      request.user = { id: String(claims.sub), role: String(claims['role']) }
      next()
    },
    () => next(),
  )
})

app.get(
  '/by-role',
  rateLimit({
    key: firstOf([role(roleOf), 'ip']),
    rate: tiered({ admin: null, member: '3/m', '*': '1/m' }, { by: roleOf, default: '*' }),
  }),
  (_request, response) => {
    response.send('three a minute for members, any number for admins, one for everybody else\n')
  },
)

const [ada, bob] = await Promise.all([sign('ada', 'member'), sign('bob', 'admin')])

app.listen(port, (error) => {
  if (error) throw error
  console.log(`Listening. Tokens for this run:
  ADA=${ada}
  BOB=${bob}
The fourth of each is refused, but with $BOB by role none:
  curl -i -H "Authorization: Bearer $ADA" http://localhost:${port}/by-token
  curl -i -H "Authorization: Bearer $ADA" http://localhost:${port}/by-role`)
})
