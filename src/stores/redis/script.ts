// How a script is called: by its digest, and with its text when the server has lost it.
// Promise: a call is repeated only if the server says that it did not run. Next: take.lua and wire.ts, swap.lua and changes.ts.

import { createHash } from 'node:crypto'
import { isScriptLost, isUnknownCommand } from './errors.ts'

/** Sends a command. */
export type Send = (name: string, args: string[]) => Promise<unknown>

/** A script on the servers of one store. */
export class Script {
  readonly #text: string
  readonly #digest: string
  /** Whether the server has EVALSHA_RO (Redis 7): found out by use. */
  #readOnly = true

  constructor(text: string) {
    this.#text = text
    this.#digest = createHash('sha1').update(text).digest('hex')
  }

  /**
   * Runs it. `args` begins with a place for the script, then the number of keys, keys and arguments.
   * @param reads whether it only looks: then replicas, and servers whose writes are paused, do it too
   */
  async run(send: Send, args: string[], reads: boolean): Promise<unknown> {
    const suffix = reads && this.#readOnly ? '_RO' : ''
    args[0] = this.#digest
    try {
      return await send(`EVALSHA${suffix}`, args)
    } catch (error) {
      if (suffix !== '' && isUnknownCommand(error)) {
        this.#readOnly = false
        return this.run(send, args, false)
      }
      if (!isScriptLost(error)) throw error
      // Running the text also makes the server keep it. A client may still hold the first call, so this is another one.
      return await send(`EVAL${suffix}`, [this.#text, ...args.slice(1)])
    }
  }
}
