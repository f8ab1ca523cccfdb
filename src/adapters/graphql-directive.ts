// Limits per field: the directive @rateLimit. Promise: only fields it stands on are limited, at any depth, each run of a resolver counts,
// and a resolver runs exactly once or not at all; other fields are not touched. Next: graphql-field.ts.

import type { GraphQLField, GraphQLNamedType, GraphQLSchema } from 'graphql'
import { ConfigError } from '../core/errors.ts'
import { GATE_OPTIONS, warnOnce } from '../http/gate.ts'
import { checkNames } from '../core/check-names.ts'
import { FieldLimiter, type GraphqlFieldOptions } from './graphql-field.ts'

/** The directive's definition, for the schema's type definitions. */
export const rateLimitTypeDefs = `"""Limits how often the field is resolved for each client."""
directive @rateLimit(
  "Such as \\"10/m\\", or several: [\\"10/s\\", \\"1000/h\\"]."
  rate: [String!]!
  name: String
  group: String
  algorithm: String
  key: String
  cost: Int
  message: String
) on FIELD_DEFINITION
`

/** What limits the fields of a schema. */
export interface RateLimitDirective {
  /** The directive's definition: {@link rateLimitTypeDefs}. */
  readonly typeDefs: string
  /**
   * Limits the fields that have the directive, and those of code-first schemas whose `extensions.rateLimit` has its arguments. It changes the
   * schema's resolvers in place, and returns the schema. Applied twice, it does nothing.
   * @throws ConfigError naming the field, for arguments that are wrong, or a directive on a field of an interface
   */
  readonly apply: (schema: GraphQLSchema) => GraphQLSchema
}

const ARGUMENTS = ['rate', 'name', 'group', 'algorithm', 'key', 'cost', 'message']
/** The rate is the directive's to say. */
const FIELD_OPTIONS = [...GATE_OPTIONS.filter((name) => name !== 'rate'), 'ip', 'request']
/** Schemas are made of schemas: a resolver that limits comes along with its field. */
const limitedResolvers = new WeakSet<object>()
let unnamed = 0

/**
 * Limits by directive: `const { typeDefs, apply } = rateLimitDirective({ key: 'user' })`, then `apply(schema)`. Each field has a counter of
 * its own per client, unless `group` joins them.
 * @param options for all fields; the directive's arguments come before them
 * @throws ConfigError for anything that is wrong with the options
 */
export function rateLimitDirective<Context = unknown>(options: GraphqlFieldOptions<Context> = {}): RateLimitDirective {
  checkNames(options, FIELD_OPTIONS, 'rateLimitDirective')
  const { name, ...common } = options as GraphqlFieldOptions<never>
  const base = name ?? `directive-${++unnamed}`
  // Built for nothing, so that what is wrong with the options is said now.
  void new FieldLimiter({ rate: '1/s', ...common, name: base }, 'rateLimitDirective')
  const limit = (field: Field, coordinate: string, starts: boolean, own: Record<string, unknown>): void => {
    const slot = starts ? 'subscribe' : 'resolve'
    const before = field[slot]
    if (before !== undefined && limitedResolvers.has(before)) return
    const merged = { name: coordinate, group: `${base}:${coordinate}`, ...common, ...own }
    const after = new FieldLimiter(merged as never, `@rateLimit on ${coordinate}`).around(before, field.name)
    limitedResolvers.add(after)
    field[slot] = after
  }
  return {
    typeDefs: rateLimitTypeDefs,
    apply(schema) {
      const subscription = schema.getSubscriptionType()
      let found = 0
      for (const type of Object.values(schema.getTypeMap())) {
        for (const field of fieldsOf(type)) {
          const coordinate = `${type.name}.${field.name}`
          const own = argumentsOn(field, `@rateLimit on ${coordinate}`)
          if (own === undefined) continue
          found++
          if (isInterface(type)) {
            const expected = 'a field of an object type, as no resolver runs for an interface'
            throw new ConfigError(`@rateLimit on ${coordinate}`, expected, 'an interface')
          }
          limit(field, coordinate, type === subscription, own)
        }
      }
      if (found === 0) warnOnce('rateLimitDirective: no field of the schema has @rateLimit, so nothing is limited')
      return schema
    },
  }
}

type Field = GraphQLField<unknown, unknown>

function fieldsOf(type: GraphQLNamedType): Field[] {
  if (type[Symbol.toStringTag] !== 'GraphQLObjectType' && !isInterface(type)) return []
  return Object.values((type as { getFields(): Record<string, Field> }).getFields())
}

function isInterface(type: GraphQLNamedType): boolean {
  return type[Symbol.toStringTag] === 'GraphQLInterfaceType'
}

/** The directive's arguments on a field, or those in its extensions; undefined for neither. */
function argumentsOn({ astNode, extensions }: Field, option: string): Record<string, unknown> | undefined {
  const directive = astNode?.directives?.find(({ name }) => name.value === 'rateLimit')
  const found: unknown =
    directive === undefined
      ? (extensions as Record<string, unknown>)['rateLimit']
      : Object.fromEntries((directive.arguments ?? []).map(({ name, value }) => [name.value, literal(value)]))
  if (found === undefined || found === null) return undefined
  if (typeof found !== 'object' || Array.isArray(found)) throw new ConfigError(option, 'an object with a rate', found)
  const given: Record<string, unknown> = Object.fromEntries(
    Object.entries(found).filter(([, value]) => value !== undefined && value !== null),
  )
  for (const name of Object.keys(given)) {
    if (!ARGUMENTS.includes(name)) throw new ConfigError(`${option}.${name}`, `one of ${ARGUMENTS.join(', ')}`, given[name])
  }
  if (given['rate'] === undefined) throw new ConfigError(`${option}.rate`, 'a rate such as "10/m"', given['rate'])
  return given
}

interface Literal {
  readonly kind: string
  readonly value?: unknown
  readonly values?: readonly Literal[]
}

/** The value of a literal; what is none of a directive's arguments' types stays for their check to refuse. */
function literal({ kind, value, values }: Literal): unknown {
  if (kind === 'ListValue') return (values ?? []).map(literal)
  if (kind === 'NullValue') return null
  return kind === 'IntValue' ? Number(value) : value
}
