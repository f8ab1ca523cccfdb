// What can befall the making of connections, where nobody refuses: no answer at all, or no address to go to. Next: network.ts, redis.ts.

import { once } from 'node:events'
import { type Socket, connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { startRedis } from '../../servers.ts'
import type { FaultRow, Stage } from '../row.ts'
import { redisSetups, redisStage, session } from './redis.ts'

/** The system keeps so many connections for a server that does not fetch them, and one more; it is silent to all others. */
const BACKLOG = 1
/** A connection on this machine that is not there by then will not come. */
const SILENT_MS = 200

/** Connects until nobody answers any more. */
async function fillBacklog(port: number): Promise<readonly Socket[]> {
  const fillers: Socket[] = []
  while (fillers.length < 20) {
    const socket = connect({ host: '127.0.0.1', port })
    socket.on('error', () => undefined)
    const answered = await Promise.race([once(socket, 'connect').then(() => true), delay(SILENT_MS, false)])
    if (!answered) {
      socket.destroy()
      return fillers
    }
    fillers.push(socket)
  }
  throw new Error('the server still gets connections')
}

/** A connection that the server serves, and which lets itself be ended. */
async function guest(port: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port })
  socket.on('error', () => undefined)
  socket.write('PING\r\n')
  await once(socket, 'data')
  return socket
}

/** Redis by a name. */
async function named(): Promise<Stage> {
  const [redis, standby] = await Promise.all([startRedis(), startRedis()])
  const url = new URL(redis.url)
  url.hostname = 'localhost'
  return {
    setups: redisSetups(url.href, standby.url),
    async inject(run) {
      const tell = await session(redis)
      run.tell({ kind: 'names', known: false })
      // By then they have heard of it.
      await delay(100)
      await tell('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
      await delay(400)
      const clients = String(await tell('CLIENT', 'LIST', 'TYPE', 'normal'))
        .trim()
        .split('\n')
      if (clients.length > 1) throw new Error(`they still find it: ${clients.join('\n')}`)
      return async () => run.tell({ kind: 'names', known: true })
    },
    async close() {
      await Promise.all([redis.stop(), standby.stop()])
    },
  }
}

export const CONNECTING_ROWS: readonly FaultRow[] = [
  {
    fault: 'connections are ended, and no new ones answered (SYN)',
    prepare: () =>
      redisStage(
        async (redis, tell) => {
          const last = await guest(redis.port)
          await tell('MULTI')
          await tell('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
          // Nobody gets in again before it is stopped.
          await tell('DEBUG', 'SLEEP', '1')
          const done = tell('EXEC')
          await once(last, 'close')
          await redis.kill('SIGSTOP')
          const fillers = await fillBacklog(redis.port)
          return async () => {
            for (const filler of fillers) filler.destroy()
            await redis.kill('SIGCONT')
            await done
          }
        },
        { args: ['--tcp-backlog', `${BACKLOG}`, '--enable-debug-command', 'local'] },
      ),
  },
  { fault: 'the host’s name is not known for 3 s (EAI_AGAIN)', prepare: named },
]
