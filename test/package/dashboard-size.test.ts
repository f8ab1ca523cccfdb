// What a browser loads to see the dashboard, from the built package, compressed. Reads dist/: `npm test` builds it first.
// Next: ../../scripts/embed-page.ts, ../browser/dashboard.test.ts.

import { expect, it } from 'vitest'
import type { dashboard as Build } from '../../src/monitor/dashboard/index.ts'

const MOST_BYTES = 100_000
const BUILT: string = 'smart-ratelimit/dashboard'

it('the dashboard’s first load is under 100 kB compressed, and needs no package at run time', async () => {
  const { dashboard } = (await import(BUILT)) as { dashboard: typeof Build }
  const dash = dashboard({ auth: false })
  const load = async (path: string): Promise<Response> =>
    dash(new Request(`http://localhost/dashboard/${path}`, { headers: { 'accept-encoding': 'gzip' } }))
  const html = await (await load('')).text()
  const files = [...html.matchAll(/(?:src|href)="\.\/([^"]+)"/g)].map(([, file = '']) => file)
  expect(files.map((file) => file.replace(/.*\./, '')).toSorted()).toEqual(['css', 'js', 'svg'])
  let bytes = html.length
  for (const file of files) {
    const answer = await load(file)
    expect([answer.status, answer.headers.get('content-encoding')]).toEqual([200, 'gzip'])
    bytes += (await answer.arrayBuffer()).byteLength
  }
  // The first data, uncompressed, of a process that has nothing to tell yet.
  bytes += (await (await load('api/snapshot')).text()).length
  expect(bytes).toBeLessThan(MOST_BYTES)
  expect(bytes).toBeGreaterThan(20_000)
  dash.close()
})
