// What Redis and its clients say went wrong, and what that means for the decision. The one place that knows.
// Promise: an error that may have been charged is never called unexecuted, and none shows a password. Next: driver.ts.

import { StoreError, type StoreErrorKind } from '../../core/errors.ts'
import { NotConnected } from './connection.ts'

interface Meaning {
  readonly kind: StoreErrorKind
  /** What to do about it. */
  readonly advice: string
}

/** The first word of a server's error. What is not here is taken for a setting that is wrong: the server has refused to do it. */
const SERVER: Readonly<Record<string, Meaning>> = {
  NOSCRIPT: { kind: 'not_executed', advice: 'the script was lost again while it was being loaded' },
  MOVED: { kind: 'wrong_node', advice: 'this server is part of a cluster; hand in a cluster client, or name `cluster`' },
  ASK: { kind: 'wrong_node', advice: 'this server is part of a cluster; hand in a cluster client, or name `cluster`' },
  CROSSSLOT: {
    kind: 'misconfigured',
    advice: 'this server is part of a cluster; hand in a cluster client, or name `cluster`, or set batchSize to 1 behind a proxy',
  },
  READONLY: { kind: 'wrong_node', advice: 'it is a replica; connect to the primary, or use Sentinel or a cluster' },
  MASTERDOWN: { kind: 'wrong_node', advice: 'it is a replica without its primary' },
  UNBLOCKED: { kind: 'wrong_node', advice: 'it has become a replica' },
  LOADING: { kind: 'unavailable', advice: 'it is loading its data' },
  BUSY: { kind: 'unavailable', advice: 'another script runs on it for long' },
  TRYAGAIN: { kind: 'unavailable', advice: 'a slot is being moved' },
  CLUSTERDOWN: { kind: 'unavailable', advice: 'slots of the cluster have no server' },
  OOM: {
    kind: 'no_room',
    advice: 'its memory is full, so it takes no new counters; counters that exist go on. Raise maxmemory or shorten periods',
  },
  MISCONF: { kind: 'unavailable', advice: 'it cannot save to disk and takes no writes' },
  NOREPLICAS: { kind: 'unavailable', advice: 'it has too few replicas in reach and takes no writes' },
  NOAUTH: { kind: 'misconfigured', advice: 'it asks for a password' },
  WRONGPASS: { kind: 'misconfigured', advice: 'check username and password' },
  NOPERM: {
    kind: 'misconfigured',
    advice: 'the user needs GET, SET, DEL, PEXPIRE, TIME, EVAL, EVALSHA and their _RO forms on the key prefix',
  },
  NOPROTO: { kind: 'misconfigured', advice: 'it does not speak the protocol version the client asks for' },
  DENIED: { kind: 'misconfigured', advice: 'it runs in protected mode; set a password or bind it to a private address' },
}

/** Errors of the network and of clients from before anything was sent. */
const UNSENT: readonly (readonly [RegExp, string])[] = [
  [/ECONNREFUSED/, 'no Redis listens there; check host and port'],
  [/ENOTFOUND|EAI_AGAIN/, 'its name is not known; check host'],
  [/EHOSTUNREACH|ENETUNREACH|EHOSTDOWN/, 'there is no way to it from here'],
  [/ENOENT/, 'its socket file is not there'],
  [/certificate|SSL|TLS|ERR_TLS/i, 'the TLS connection failed; check tls and the certificate'],
  [/enableOfflineQueue|client is (offline|closed)|Stream isn't writeable|closed client/i, 'the connection is down'],
  [/All sentinels are unreachable|no sentinel/i, 'no Sentinel answers; check sentinel.nodes'],
  [/slots? cache|None of startup nodes|rootNodes/i, 'no node of the cluster answers; check cluster'],
]

/** An answer that never came, whatever the reason. */
const LOST: Meaning = { kind: 'ambiguous', advice: 'the answer was lost; it may have been charged, so it is not asked again' }

/** Turns what a client or a server threw into a {@link StoreError} of this store. */
export function storeError(store: string, thrown: unknown): StoreError {
  if (thrown instanceof StoreError) return thrown
  const text = messageOf(thrown)
  const { kind, advice } = meaning(thrown, text)
  return new StoreError(store, `${text} (${advice})`, { kind, cause: bare(thrown, text) })
}

/** What a server's error text, as a script passes it on, means. */
export function scriptError(store: string, text: string): StoreError {
  return storeError(store, new ServerError(text.replace(/^-/, '')))
}

/** Whether a question was not executed since its key is not on the server that was asked. */
export function isElsewhere(text: string): boolean {
  return /non[- ]local key|do not hash to the same slot|^-?(MOVED|ASK|CROSSSLOT) /.test(text)
}

/** Whether the server does not know the script. */
export function isScriptLost(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('NOSCRIPT')
}

/** Whether the server is older than a command. */
export function isUnknownCommand(error: unknown): boolean {
  return error instanceof Error && /^ERR unknown command/i.test(error.message)
}

class ServerError extends Error {
  override readonly name = 'ReplyError'
}

function meaning(thrown: unknown, text: string): Meaning {
  if (thrown instanceof NotConnected) {
    const inner = thrown.cause instanceof Error ? meaning(thrown.cause, messageOf(thrown.cause)) : undefined
    const advice = inner === undefined || inner === LOST ? 'the connection is down' : inner.advice
    return { kind: inner?.kind === 'misconfigured' ? 'misconfigured' : 'unavailable', advice }
  }
  // A server's error begins with a word in capitals; Node's own errors carry it in `code`.
  const word = /^([A-Z]{2,})(?: |$)/.exec(text)?.[1]
  if (word !== undefined && SERVER[word] !== undefined) return SERVER[word]
  const unsent = UNSENT.find(([pattern]) => pattern.test(text))
  if (unsent !== undefined) return { kind: 'unavailable', advice: unsent[1] }
  if (word === 'WRONGTYPE' || word === 'ERR' || word === 'NOTALLOWED' || isReplyError(thrown))
    return { kind: 'misconfigured', advice: 'the server refused the script; Redis 6 or newer, or Valkey, is needed' }
  return LOST
}

function isReplyError(thrown: unknown): boolean {
  return thrown instanceof Error && /Reply|SimpleError|BlobError/.test(`${thrown.name} ${thrown.constructor.name}`)
}

/** Servers quote what they do not understand, and that may be a password. */
function messageOf(thrown: unknown): string {
  const text = thrown instanceof Error ? thrown.message || codeOf(thrown) : 'failed'
  return text.replace(/,? with args beginning with:[^]*/, '')
}

function codeOf(error: Error): string {
  const { code, errors } = error as { code?: unknown; errors?: unknown }
  // Several addresses were tried: Node wraps their errors, and leaves its own message empty.
  if (Array.isArray(errors) && errors[0] instanceof Error) return errors[0].message
  return typeof code === 'string' ? code : error.name
}

/** The error without what clients hang on it: the command with all its arguments, AUTH's included. */
function bare(thrown: unknown, text: string): Error {
  const error = new Error(text)
  if (!(thrown instanceof Error)) return error
  error.name = thrown.name
  const { code } = thrown as { code?: unknown }
  return typeof code === 'string' ? Object.assign(error, { code }) : error
}
