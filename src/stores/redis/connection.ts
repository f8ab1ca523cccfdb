// What the driver needs of a client, whichever it is. Promise: a command is sent when it can leave at once, and never twice.
// Next: ioredis.ts, node-redis.ts, which make it of clients; connect.ts, which makes clients.

/** One server of a cluster. */
export interface RedisNode {
  /** As {@link RedisConnection.ready}. */
  ready(patienceMs: number): Promise<void> | undefined
  /** Sends a command to this server and nowhere else. */
  send(name: string, args: string[]): Promise<unknown>
}

/** A way to one Redis, or to a cluster of them. */
export interface RedisConnection {
  /**
   * Nothing when a command would leave at once; else a promise of that moment, rejected with the reason why it will not come soon.
   * @param patienceMs how long after a loss the connection is expected back
   */
  ready(patienceMs: number): Promise<void> | undefined
  /** Sends a command to the server that holds this key, following what a cluster says about where that is. */
  send(name: string, args: string[], key: string): Promise<unknown>
  /** Of a cluster alone: who holds a slot, undefined if it cannot be told. */
  readonly nodeOf?: (slot: number) => RedisNode | undefined
  /** Of a cluster alone: all that hold slots. */
  readonly nodes?: () => readonly RedisNode[]
  /** Of a cluster alone: where the one is that holds a slot, `host:port`, also while there is no connection to it. */
  readonly addressOf?: (slot: number) => string | undefined
  /** What the client itself puts before keys it knows of: a key that is sent as something else must have it already. */
  readonly keyPrefix: string
  /** The server is no longer the one to ask: connect anew, if the connection is the store's own. */
  renew(): void
  /** Ends what the store opened itself. */
  close(): void | Promise<void>
}

/** A connection that is not there: nothing was sent. The message and the cause are for {@link storeErrors}. */
export class NotConnected extends Error {
  override readonly name = 'NotConnected'
}
