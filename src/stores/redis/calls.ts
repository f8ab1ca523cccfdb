// Calls of the script about questions that may go: one call to one server, or to each server of a cluster that has keys of them.
// Promise: a question that was not executed is asked again (a slot has moved, a calendar's period has passed), one that may have been is
// not; a failure is that of the questions it is about. Next: wire.ts, what a call is made of; take.lua, who answers.

import { systemClock } from '../../core/clock.ts'
import { StoreError } from '../../core/errors.ts'
import { keepMs } from '../record.ts'
import type { Found, Question } from '../remote-driver.ts'
import type { RemoteSettings } from '../remote-options.ts'
import { clusterSlot } from './cluster-slot.ts'
import type { RedisConnection, RedisNode } from './connection.ts'
import { isElsewhere, scriptError } from './errors.ts'
import { warnOfEviction } from './eviction-warning.ts'
import { Script, type Send } from './script.ts'
import takeScript from './take.lua'
import { type Answer, Call, type Keep, Reply } from './wire.ts'

/** A tests' clock may stand still for long while the server's runs. */
const KEEP_UNDER_CLOCK_MS = 3_600_000
/** A period of a calendar asked for again: the server's time is known by then, so once more is enough but for midnight itself. */
const MOST_AGAIN = 3

/** A question, its counter's whole name, and where its answer goes. */
export interface Asked {
  readonly question: Question
  readonly key: string
  readonly at: number
}

/** Where answers are put, by place. */
export type Answers = (Found | StoreError)[]

/** What calls share. */
export interface CallTerms {
  /** Turns what was thrown into this store's error. */
  readonly failed: (error: unknown) => StoreError
  /** Waits for a connection, not longer than anybody waits for the answer. */
  readonly inTime: (ready: Promise<void> | undefined) => Promise<void>
}

/** Calls the script for one store. */
export class Calls {
  /** How long counters are kept. */
  readonly keep: Keep
  readonly #settings: RemoteSettings
  readonly #terms: CallTerms
  readonly #script = new Script(takeScript)
  /** Whether it has been looked at what the server does when its memory is full. */
  #policyRead = false
  /** The server's clock less ours, in ms: for choosing a calendar's period before the server is asked. */
  #aheadMs = 0

  constructor(settings: RemoteSettings, terms: CallTerms) {
    this.#settings = settings
    this.#terms = terms
    this.keep = settings.clock === undefined ? keepMs : (set) => Math.max(keepMs(set), KEEP_UNDER_CLOCK_MS)
  }

  /** Asks all, of one server or of as many as have the keys. */
  async ask(connection: RedisConnection, asked: readonly Asked[], answers: Answers, reads: boolean): Promise<void> {
    const [first] = asked
    const { nodeOf, keyPrefix } = connection
    if (nodeOf === undefined) {
      const { key } = first as Asked
      return this.#call(connection, asked, answers, reads, {
        send: (command, args) => connection.send(command, args, key),
        declared: true,
      })
    }
    const groups = new Map<RedisNode | number, Asked[]>()
    for (const each of asked) {
      const slot = clusterSlot(keyPrefix + each.key)
      const node = nodeOf(slot) ?? slot
      const group = groups.get(node)
      if (group === undefined) groups.set(node, [each])
      else group.push(each)
    }
    await Promise.all(
      [...groups].map(async ([node, group]) => {
        const { key } = group[0] as Asked
        const target = typeof node === 'number' ? undefined : node
        if (target !== undefined && group.length > 1)
          return this.#call(connection, group, answers, reads, {
            send: (command, args) => target.send(command, args),
            declared: false,
            node: target,
          })
        // With its key declared, a client follows it to wherever a cluster has moved it.
        const send: Send = (command, args) => connection.send(command, args, key)
        return this.#call(connection, group, answers, reads, { send, declared: true, ...(target && { node: target }) })
      }),
    )
  }

  /** One call; then what it left open, each by itself. A failure is that of these questions alone. */
  async #call(
    connection: RedisConnection,
    asked: readonly Asked[],
    answers: Answers,
    reads: boolean,
    to: { readonly send: Send; readonly declared: boolean; readonly node?: RedisNode },
    attempt = 1,
    serverNow?: number,
  ): Promise<void> {
    const { clock } = this.#settings
    const now = clock?.now()
    const guess = serverNow ?? now ?? this.#guess()
    const call = new Call()
    const prefix = to.declared ? '' : connection.keyPrefix
    for (const { question, key } of asked) call.ask(question, prefix + key, guess, this.keep)
    let reply: Reply
    try {
      if (to.node !== undefined) await this.#terms.inTime(to.node.ready(this.#settings.deadlineMs))
      reply = new Reply(await this.#script.run(to.send, call.args(to.declared, now), reads))
    } catch (error) {
      const failure = this.#terms.failed(error)
      for (const { at } of asked) answers[at] = failure
      return
    }
    if (!this.#policyRead) {
      this.#policyRead = true
      void warnOfEviction(this.#settings.name, to.send)
    }
    if (clock === undefined) this.#aheadMs = reply.now - systemClock.now()
    const again: Asked[] = []
    const elsewhere: Asked[] = []
    for (const each of asked) {
      const answer = reply.found(each.question)
      if ('granted' in answer) answers[each.at] = answer
      else if ('again' in answer && attempt < MOST_AGAIN) again.push(each)
      else if ('problem' in answer && !to.declared && isElsewhere(answer.problem)) elsewhere.push(each)
      else answers[each.at] = this.#problem(answer)
    }
    if (again.length > 0) await this.#call(connection, again, answers, reads, to, attempt + 1, reply.now)
    await Promise.all(byKey(elsewhere).map(async (same) => this.#alone(connection, same, answers, reads)))
  }

  /** Asks one by one, in order, as they are about one counter. */
  async #alone(connection: RedisConnection, asked: readonly Asked[], answers: Answers, reads: boolean): Promise<void> {
    for (const each of asked) await this.ask(connection, [each], answers, reads)
  }

  /** One question that is no decision. */
  async askOther(
    connection: RedisConnection,
    name: string,
    spec: (now: number) => string,
    reads: boolean,
  ): Promise<{ readonly value: string | undefined; readonly now: number }> {
    const { clock } = this.#settings
    let guess = clock?.now() ?? this.#guess()
    for (let attempt = 1; ; attempt++) {
      const call = new Call()
      call.add(spec(guess), name)
      const sent = call.args(true, clock?.now())
      const reply = await this.#script.run((command, args) => connection.send(command, args, name), sent, reads)
      const answer = new Reply(reply).value()
      if ('value' in answer) return answer
      if (!('again' in answer) || attempt === MOST_AGAIN) throw this.#problem(answer)
      guess = answer.again
    }
  }

  #problem(answer: Answer): StoreError {
    if ('problem' in answer) return this.#terms.failed(scriptError(this.#settings.name, answer.problem))
    return new StoreError(this.#settings.name, 'the server’s time keeps leaving the calendar’s period', { kind: 'not_executed' })
  }

  #guess(): number {
    return systemClock.now() + this.#aheadMs
  }
}

function byKey(asked: readonly Asked[]): readonly (readonly Asked[])[] {
  const groups = new Map<string, Asked[]>()
  for (const each of asked) {
    const group = groups.get(each.key)
    if (group === undefined) groups.set(each.key, [each])
    else group.push(each)
  }
  return [...groups.values()]
}
