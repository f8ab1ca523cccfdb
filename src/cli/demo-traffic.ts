// Some traffic for the demo: real requests of several made-up clients, one of which knocks at a closed door. Promise: never more than a few
// requests at a time, and it ends when told. Next: demo.ts.

import { Agent, get } from 'node:http'

interface Client {
  readonly address: string
  readonly path: string
  /** One request in so many turns. */
  readonly everyTurns: number
  /** Turns of which it is silent, in a cycle of 240: a minute. */
  readonly rests?: number
}

const TURN_MS = 250
const CYCLE_TURNS = 240

const CLIENTS: readonly Client[] = [
  { address: '198.51.100.7', path: '/api', everyTurns: 5 },
  { address: '198.51.100.23', path: '/api', everyTurns: 2, rests: 90 },
  { address: '203.0.113.90', path: '/api', everyTurns: 1, rests: 150 },
  { address: '192.0.2.41', path: '/search?q=shoes', everyTurns: 7 },
  { address: '203.0.113.5', path: '/search?q=*', everyTurns: 1, rests: 120 },
  { address: '2001:db8:51:7::9', path: '/search?q=hats', everyTurns: 11 },
  { address: '192.0.2.66', path: '/upload', everyTurns: 23 },
  { address: '198.51.100.77', path: '/login', everyTurns: 60 },
  { address: '203.0.113.66', path: '/code', everyTurns: 6, rests: 60 },
]

/** Begins; what it returns ends it. */
export function startTraffic(port: number, host: string): () => void {
  const agent = new Agent({ keepAlive: true, maxSockets: 4 })
  let turn = 0
  const timer = setInterval(() => {
    turn++
    for (const client of CLIENTS) if (isDue(client, turn)) ask(client)
  }, TURN_MS)

  function ask({ address, path }: Client): void {
    // Whatever becomes of it: the demo may be ending.
    get({ agent, host, port, path, headers: { 'X-Forwarded-For': address } }, (response) => response.resume()).on(
      'error',
      () => {},
    )
  }

  return () => {
    clearInterval(timer)
    agent.destroy()
  }
}

function isDue({ everyTurns, rests = 0 }: Client, turn: number): boolean {
  return turn % everyTurns === 0 && turn % CYCLE_TURNS >= rests
}
