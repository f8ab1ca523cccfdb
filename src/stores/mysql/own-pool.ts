// A pool that the store makes itself, when the first decision needs it. Promise: the driver is loaded then and not before; a missing
// one is told with what to install. Next: clients.ts for pools handed in.

import { StoreError } from '../../core/errors.ts'
import { type Connections, type MysqlCallbackPool, fromCallbacks } from './clients.ts'
import type { ConnectionSettings } from './connection-options.ts'

/** What is used of the driver. */
interface Driver {
  createPool(options: object): MysqlCallbackPool & { end(callback: () => void): void }
}

/** Not a literal, so that no bundler looks for a driver that is not installed. */
const DRIVER: string = 'mysql2'

/** Ms after which an attempt to connect is given up: a server that is back is tried anew. Decisions do not wait for it. */
const CONNECT_MS = 3000

/** Connections of a pool that is made on first use. */
export function ownPool(settings: ConnectionSettings, store: string): Connections {
  let made: Promise<ReturnType<Driver['createPool']>> | undefined
  const make = async (): Promise<ReturnType<Driver['createPool']>> => {
    const { maxConnections, ssl, ...where } = settings
    const driver = await load(store)
    return driver.createPool({
      ...where,
      ...(ssl !== undefined && { ssl: { ...ssl } }),
      connectionLimit: maxConnections,
      connectTimeout: CONNECT_MS,
      // All statements of a trip at once. They hold no text from outside but keys, which are written as literals.
      multipleStatements: true,
      // No stack trace kept for each query.
      trace: false,
    })
  }
  return {
    acquire: async () => {
      made ??= make()
      try {
        return await fromCallbacks(await made)
      } catch (error) {
        if (error instanceof StoreError) made = undefined
        throw error
      }
    },
    close: async () => {
      const pool = await made?.catch(() => undefined)
      if (pool !== undefined) await new Promise<void>((resolve) => pool.end(resolve))
    },
  }
}

async function load(store: string): Promise<Driver> {
  try {
    const driver = (await import(DRIVER)) as Driver & { default?: Driver }
    return driver.default ?? driver
  } catch (error) {
    const message = 'needs the package mysql2 for a connection of its own: npm install mysql2'
    throw new StoreError(store, message, { cause: error, kind: 'misconfigured' })
  }
}
