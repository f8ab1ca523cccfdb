// Allow and deny lists. Promise: a list of addresses answers at once and by bits; a bad entry is an error while the list is built,
// naming the entry, and never a list with a hole in it.
// Next: address-ranges.ts (how blocks are matched), address-list-file.ts (lists in files).

import { systemClock, type Clock } from '../core/clock.ts'
import { ConfigError } from '../core/errors.ts'
import { isPromise, type MaybePromise } from '../core/maybe.ts'
import type { RequestView } from '../core/request.ts'
import { fileRanges, type AddressFile, type FileRanges } from './address-list-file.ts'
import { BLOCK_SHAPE, rangesBuilder } from './address-ranges.ts'

export type { AddressFile } from './address-list-file.ts'

/** Decides by the request itself, now or later; anything truthy means: on the list. */
export type AddressTest = (view: RequestView) => MaybePromise<boolean>

/** An address, a block, a file of them, or a function of the request. */
export type AddressListEntry = string | AddressFile | AddressTest

/** What a list is made from. */
export type AddressListInput = AddressListEntry | readonly AddressListEntry[]

/** What a list needs from outside. */
export interface AddressListHooks {
  /** Tells the age of file lists; default the system's clock. */
  readonly clock?: Clock
  /** Told when a file could not be read again; the last good list stays in force. */
  readonly onRefreshError?: (error: ConfigError) => void
}

/** A list that can be asked. */
export interface AddressList {
  /**
   * Whether the client is on the list. Addresses and loaded files are asked before functions, and answer synchronously; before a file
   * was loaded its first load is awaited.
   * @param address the client's whole address; undefined when it has none, so that only functions can match
   * @throws what a function throws; a ConfigError (as a rejection) while a file never could be loaded
   */
  matches(address: string | undefined, view: RequestView): MaybePromise<boolean>
  /** Loads the files; resolves at once when there are none. @throws ConfigError as a rejection, naming file, line and text */
  ready(): Promise<void>
}

/**
 * Builds a list.
 * @param option what errors call it, for example `denyList`
 * @throws ConfigError (`ERR_RATELIMIT_LIST`) naming index and text of an entry that is no address, no block, no file and no function.
 * Bits set beyond the prefix (`10.0.0.1/8`) are an error too: either one host or sixteen million was meant.
 */
export function buildAddressList(input: AddressListInput, option: string, hooks: AddressListHooks = {}): AddressList {
  const clock = hooks.clock ?? systemClock
  const report = hooks.onRefreshError ?? ((): void => {})
  const builder = rangesBuilder()
  const files: FileRanges[] = []
  const tests: AddressTest[] = []

  const add = (entry: unknown, where: string): void => {
    if (typeof entry === 'function') {
      tests.push(entry as AddressTest)
    } else if (typeof entry === 'object' && entry !== null && 'file' in entry) {
      files.push(fileRanges(entry as AddressFile, where, clock, report))
    } else {
      const expected =
        typeof entry === 'string' ? builder.add(entry) : `${BLOCK_SHAPE}, a file as in { file: 'path' }, or a function`
      if (expected !== undefined) throw new ConfigError(where, expected, entry, 'ERR_RATELIMIT_LIST')
    }
  }
  if (Array.isArray(input))
    for (const [index, entry] of (input as readonly unknown[]).entries()) add(entry, `${option}[${index}]`)
  else add(input, option)

  const fixed = builder.build()

  return {
    matches(address, view) {
      if (address !== undefined) {
        if (fixed.has(address)) return true
        let loaded = true
        for (const file of files) {
          const ranges = file.current()
          if (ranges === undefined) loaded = false
          else if (ranges.has(address)) return true
        }
        if (!loaded) return afterLoading(files, address, tests, view)
      }
      return tests.length === 0 ? false : anyTest(tests, 0, view)
    },
    async ready() {
      await Promise.all(files.map((file) => file.ready()))
    },
  }
}

async function afterLoading(
  files: readonly FileRanges[],
  address: string,
  tests: readonly AddressTest[],
  view: RequestView,
): Promise<boolean> {
  const lists = await Promise.all(files.map((file) => file.first()))
  return lists.some((ranges) => ranges.has(address)) || anyTest(tests, 0, view)
}

function anyTest(tests: readonly AddressTest[], from: number, view: RequestView): MaybePromise<boolean> {
  for (let at = from; at < tests.length; at++) {
    const test = tests[at] as AddressTest
    const found = test(view)
    if (isPromise(found)) return found.then((later) => (later ? true : anyTest(tests, at + 1, view)))
    if (found) return true
  }
  return false
}
