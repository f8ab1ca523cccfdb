// What an operation costs, by its document. Promise: time is linear in the document's size, whatever fragments multiply to; nothing is
// parsed, executed or imported from graphql; what cannot be known counts. Next: graphql-limiter.ts, whose `cost` it is.

import type { DocumentNode } from 'graphql'
import { ConfigError } from '../core/errors.ts'
import { checkNames } from '../core/check-names.ts'
import { type Definition, type Document, type Selection, type SelectionSet, Values, definitionsOf } from './graphql-document.ts'

/** How fields are counted. */
export interface FieldCostOptions {
  /** Field name → what one such field costs, without those below it: a whole number ≥ 0 (default 1). */
  readonly weights?: Readonly<Record<string, number>>
  /** Names of arguments that say how long a list becomes, such as `first`: they multiply what is below the field (default none). */
  readonly multipliers?: readonly string[]
  /** Whether `__schema` and `__type`, with all below them, count (default true). `__typename` never does. */
  readonly introspection?: boolean
}

/** What {@link operationCost} needs to know of the operation. */
export interface OperationCostOptions extends FieldCostOptions {
  /** The operation to count, where the document has several. */
  readonly operationName?: string | null | undefined
  /** Values of the operation's variables, as the client sent them. */
  readonly variables?: Readonly<Record<string, unknown>> | null | undefined
}

/**
 * The cost of an operation: a whole number ≥ 1, and at most 2^53 − 1. Each field counts as often as it is written, aliases too; what a
 * fragment has counts wherever it is spread. Texts, comments, arguments and `__typename` do not. A selection with `@skip(if: true)` or
 * `@include(if: false)`, by a literal or a variable's value, costs nothing. An operation that is not in the document costs 1: it fails.
 * @throws ConfigError for anything that is wrong with the options
 */
export function operationCost(document: DocumentNode, options: OperationCostOptions = {}): number {
  const { operationName, variables, ...how } = options
  return countFields(checkedRules(how, 'operationCost'), document, operationName, variables)
}

/** The same as a `cost` option: `useRateLimit({ rate: '1000/m', cost: costByFields({ multipliers: ['first'] }) })`. */
export function costByFields(
  options: FieldCostOptions = {},
): (operation: {
  readonly document: DocumentNode
  readonly operationName: string | undefined
  readonly variables: Readonly<Record<string, unknown>>
}) => number {
  const rules = checkedRules(options, 'costByFields')
  return ({ document, operationName, variables }) => countFields(rules, document, operationName, variables)
}

interface Rules {
  readonly weights: ReadonlyMap<string, number>
  readonly multipliers: ReadonlySet<string>
  readonly introspection: boolean
}

function checkedRules(options: FieldCostOptions, option: string): Rules {
  checkNames(options, ['weights', 'multipliers', 'introspection'], option)
  const { weights = {}, multipliers = [], introspection = true } = options
  if (typeof weights !== 'object' || weights === null) throw new ConfigError(`${option}.weights`, 'an object', weights)
  for (const [name, weight] of Object.entries(weights)) {
    if (!Number.isSafeInteger(weight) || weight < 0)
      throw new ConfigError(`${option}.weights.${name}`, 'a whole number ≥ 0', weight)
  }
  if (!Array.isArray(multipliers) || multipliers.some((name) => typeof name !== 'string' || name === ''))
    throw new ConfigError(`${option}.multipliers`, 'a list of names of arguments', multipliers)
  if (typeof introspection !== 'boolean') throw new ConfigError(`${option}.introspection`, 'true or false', introspection)
  return { weights: new Map(Object.entries(weights)), multipliers: new Set(multipliers), introspection }
}

/** A selection set on the way. A stack of them, not recursion: documents may be nested deeper than the call stack. */
interface Level {
  readonly selections: readonly Selection[]
  at: number
  sum: number
  /** What the field itself costs. */
  readonly own: number
  /** How often what is below it comes. */
  readonly times: number
  /** The fragment whose selections these are. */
  readonly fragment: string | undefined
}

const NONE: readonly Selection[] = []
const capped = (cost: number): number => Math.min(cost, Number.MAX_SAFE_INTEGER)

function countFields(
  rules: Rules,
  document: Document,
  operationName: string | null | undefined,
  variables: Readonly<Record<string, unknown>> | null | undefined,
): number {
  const { operation, fragments } = definitionsOf(document, operationName)
  if (operation === undefined) return 1
  const values = new Values(operation, variables ?? {})
  /** Undefined: being counted, so that a fragment within itself, which no server executes, adds nothing. */
  const known = new Map<string, number | undefined>()
  const levels: Level[] = [levelOf(operation.selectionSet)]
  for (;;) {
    const level = levels.at(-1) as Level
    const selection = level.selections[level.at++]
    if (selection === undefined) {
      levels.pop()
      const cost = capped(level.own + level.times * level.sum)
      if (level.fragment !== undefined) known.set(level.fragment, cost)
      const above = levels.at(-1)
      if (above === undefined) return Math.max(1, cost)
      above.sum = capped(above.sum + cost)
    } else if (!values.excludes(selection)) {
      const found = enter(selection, rules, values, fragments, known)
      if (typeof found === 'number') level.sum = capped(level.sum + found)
      else levels.push(found)
    }
  }
}

/** What a selection costs, or what is below it and has to be counted first. */
function enter(
  selection: Selection,
  rules: Rules,
  values: Values,
  fragments: ReadonlyMap<string, Definition>,
  known: Map<string, number | undefined>,
): number | Level {
  if (selection.kind === 'InlineFragment') return levelOf(selection.selectionSet)
  const name = selection.name?.value ?? ''
  if (selection.kind === 'FragmentSpread') {
    if (known.has(name)) return known.get(name) ?? 0
    known.set(name, undefined)
    return levelOf(fragments.get(name)?.selectionSet, 0, 1, name)
  }
  if (name === '__typename') return 0
  if (!rules.introspection && (name === '__schema' || name === '__type')) return 0
  const own = rules.weights.get(name) ?? 1
  if (selection.selectionSet === undefined) return own
  return levelOf(selection.selectionSet, own, values.timesOf(selection, rules.multipliers))
}

function levelOf(set: SelectionSet | undefined, own = 0, times = 1, fragment?: string): Level {
  return { selections: set?.selections ?? NONE, at: 0, sum: 0, own, times, fragment }
}
