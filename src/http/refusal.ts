// Decision → the answer to a refused request. Promise: a client is told how long to wait and which limits it met, never who it is
// taken for; denying because no store answers is a 503, not the client's fault. Next: headers.ts, for the quota fields.

import type { Decision } from '../core/decision.ts'
import { ConfigError } from '../core/errors.ts'
import type { Limit } from '../core/limit.ts'
import { checkNames } from '../core/check-names.ts'
import { retryAfterSeconds } from './headers.ts'

/** Options of {@link refusal}. */
export interface RefusalOptions {
  /** Replaces the sentence of the body; in JSON it is the `detail` (default: what was exceeded, and how long to wait). */
  readonly message?: string | undefined
}

/** An answer to a refused request. The body of a HEAD request is the adapter's to leave out. */
export interface Refusal {
  /** 429; 503 where the request is denied because no store answers. */
  readonly status: 429 | 503
  readonly contentType: string
  readonly body: string
  /** What the body says, in one sentence of plain text. */
  readonly sentence: string
  /** Names and values of what else to set: Retry-After, where waiting helps, and Cache-Control. */
  readonly headers: readonly (readonly [name: string, value: string])[]
}

const TYPE = 'https://iana.org/assignments/http-problem-types#'
const JSON_TYPE = 'application/problem+json'
const TEXT_TYPE = 'text/plain; charset=utf-8'
/** RFC 6585: no cache may keep a 429. Said aloud, as an earlier handler may have marked the response as cacheable. */
const NO_STORE = ['Cache-Control', 'no-store'] as const

/**
 * The answer to a refused request: problem details (RFC 9457) for clients that name JSON in their Accept field and do not prefer plain
 * text; plain text for all others, and so for the wildcard that browsers and command lines send.
 * @param accept the request's Accept field; undefined when it has none
 */
export function refusal(decision: Decision, accept: string | undefined, options: RefusalOptions = {}): Refusal {
  const seconds = retryAfterSeconds(decision)
  const status = decision.source === 'closed' ? 503 : 429
  const sentence = options.message ?? sentenceFor(decision, seconds)
  const headers = seconds === undefined ? [NO_STORE] : [['Retry-After', String(seconds)] as const, NO_STORE]
  if (!prefersJson(accept)) return { status, contentType: TEXT_TYPE, body: sentence, sentence, headers }
  return { status, contentType: JSON_TYPE, body: JSON.stringify(problem(decision, status, sentence)), sentence, headers }
}

/** @throws ConfigError for an unknown name or a message that is no text */
export function checkRefusalOptions(options: RefusalOptions, option: string): void {
  checkNames(options, ['message'], option)
  const { message } = options
  if (message !== undefined && typeof message !== 'string') throw new ConfigError(`${option}.message`, 'a text', message)
}

function sentenceFor({ source, reason }: Decision, seconds: number | undefined): string {
  const wait = seconds === undefined ? '' : ` Try again in ${seconds} ${seconds === 1 ? 'second' : 'seconds'}.`
  if (source === 'closed') return `The service is short of capacity.${wait === '' ? ' Try again later.' : wait}`
  if (reason === 'list') return 'Requests from this client are not accepted.'
  if (reason === 'key') return 'Requests that do not say whom they are from are not accepted.'
  if (reason === 'cost') return 'Rate limit exceeded. This request costs more than the limit ever allows.'
  return `Rate limit exceeded.${wait}`
}

function problem(decision: Decision, status: number, detail: string): Record<string, unknown> {
  if (decision.source === 'closed')
    return { type: `${TYPE}temporary-reduced-capacity`, title: 'Temporary Reduced Capacity', status, detail }
  // No quota was met: the status says all there is to say.
  if (decision.reason === 'list' || decision.reason === 'key')
    return { type: 'about:blank', title: 'Too Many Requests', status, detail }
  const violated = violatedPolicies(decision)
  const quota = { type: `${TYPE}quota-exceeded`, title: 'Quota Exceeded', status, detail }
  return violated.length === 0 ? quota : { ...quota, 'violated-policies': violated }
}

/** The limits that did not have room for the request's cost. */
function violatedPolicies(decision: Decision): string[] {
  const { limits, standings, cost, source } = decision
  if (source !== 'none') return standings.filter(({ remaining }) => remaining < cost).map(({ name }) => name)
  return limits.filter((limit) => mostGranted(limit) < cost).map(({ name }) => name)
}

function mostGranted({ amount, burst }: Limit): number {
  return amount === 0 ? 0 : burst
}

function prefersJson(accept: string | undefined): boolean {
  if (accept === undefined || accept === '' || accept === '*/*') return false
  // The weight of each range that matters; of two that match, the more specific one counts.
  let problemJson = -1
  let json = -1
  let anyApplication = -1
  let plain = -1
  let anyText = -1
  let anything = -1
  for (const part of accept.toLowerCase().split(',', MOST_RANGES)) {
    const [range = '', ...parameters] = part.split(';')
    const weight = weightOf(parameters)
    switch (range.trim()) {
      case JSON_TYPE:
        problemJson = Math.max(problemJson, weight)
        break
      case 'application/json':
      case 'application/*+json':
        json = Math.max(json, weight)
        break
      case 'application/*':
        anyApplication = Math.max(anyApplication, weight)
        break
      case 'text/plain':
        plain = Math.max(plain, weight)
        break
      case 'text/*':
        anyText = Math.max(anyText, weight)
        break
      case '*/*':
        anything = Math.max(anything, weight)
    }
  }
  const asJson = first(problemJson, json, anyApplication)
  return asJson > 0 && asJson >= first(plain, anyText, anything)
}

/** More ranges than any client sends in earnest; the rest is not read. */
const MOST_RANGES = 64

function weightOf(parameters: readonly string[]): number {
  for (const parameter of parameters) {
    const [name = '', value = ''] = parameter.split('=')
    if (name.trim() !== 'q') continue
    const weight = Number(value.trim())
    // A malformed weight is as good as none.
    return weight >= 0 && weight <= 1 ? weight : 1
  }
  return 1
}

function first(...weights: readonly number[]): number {
  return weights.find((weight) => weight >= 0) ?? 0
}
