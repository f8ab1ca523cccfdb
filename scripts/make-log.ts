// Writes a realistic combined access log to standard output: `node scripts/make-log.ts 1000000 [seed] > access.log`.
// The same count and seed give the same log.

const lines = Number(process.argv[2] ?? 100_000)
let state = Number(process.argv[3] ?? 1) >>> 0 || 1
/** xorshift32: small, seeded, good enough for traffic. */
function random(): number {
  state ^= state << 13
  state ^= state >>> 17
  state ^= state << 5
  return (state >>> 0) / 2 ** 32
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const PATHS = ['/', '/login', '/api/items', '/api/items/42', '/search?q=shoes', '/static/app.js', '/upload', '/api/orders']
const AGENTS = [
  'Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0',
  'curl/8.5.0',
  'Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Safari/605.1',
]
const pad = (value: number): string => String(value).padStart(2, '0')

let timeMs = Date.UTC(2026, 0, 15, 6, 0, 0)
const out: string[] = []
let size = 0
for (let i = 0; i < lines; i++) {
  timeMs += -Math.log(1 - random()) * 60
  // A few clients make most requests, as everywhere.
  const client = Math.floor(20_000 * random() ** 4)
  const time = new Date(timeMs)
  const stamp = `${pad(time.getUTCDate())}/${MONTHS[time.getUTCMonth()]}/${time.getUTCFullYear()}:${pad(time.getUTCHours())}:${pad(time.getUTCMinutes())}:${pad(time.getUTCSeconds())} +0000`
  const path = PATHS[Math.floor(random() * PATHS.length)]
  const line = `10.${client >> 12}.${(client >> 6) & 63}.${client & 63} - - [${stamp}] "GET ${path} HTTP/1.1" 200 ${Math.floor(random() * 5000)} "-" "${AGENTS[Math.floor(random() * 3)]}"\n`
  out.push(line)
  size += line.length
  if (size > 1 << 20 || i === lines - 1) {
    if (!process.stdout.write(out.join(''))) await new Promise((resolve) => process.stdout.once('drain', resolve))
    out.length = 0
    size = 0
  }
}
