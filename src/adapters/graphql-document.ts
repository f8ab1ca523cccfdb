// A parsed document, as far as counting needs it. Promise: a name a client chose is a key of maps, never of objects; what is not known reads as
// undefined. Next: graphql-cost.ts.

/** What is read of a document: of any version of graphql, and by texts, as its enums are its own. */
export interface Document {
  readonly definitions: readonly Definition[]
}

/** An operation or a fragment, or what is neither. */
export interface Definition {
  readonly kind: string
  readonly name?: Name | undefined
  readonly selectionSet?: SelectionSet | undefined
  readonly variableDefinitions?: readonly VariableDefinition[] | undefined
}

interface VariableDefinition {
  readonly variable: { readonly name: Name }
  readonly defaultValue?: Value | undefined
}

/** A field, or a fragment. */
export interface Selection {
  readonly kind: string
  readonly name?: Name | undefined
  readonly arguments?: readonly Argument[] | undefined
  readonly directives?: readonly Directive[] | undefined
  readonly selectionSet?: SelectionSet | undefined
}

/** What stands between braces. */
export interface SelectionSet {
  readonly selections: readonly Selection[]
}

interface Directive {
  readonly name: Name
  readonly arguments?: readonly Argument[] | undefined
}

interface Argument {
  readonly name: Name
  readonly value: Value
}

interface Value {
  readonly kind: string
  readonly name?: Name
  readonly value?: unknown
}

interface Name {
  readonly value: string
}

/** The operation of a name, or the only one; and all fragments. */
export function definitionsOf(document: Document, operationName: string | null | undefined) {
  const fragments = new Map<string, Definition>()
  const operations: Definition[] = []
  for (const definition of document.definitions) {
    if (definition.kind === 'FragmentDefinition') fragments.set(definition.name?.value ?? '', definition)
    else if (definition.kind === 'OperationDefinition') operations.push(definition)
  }
  const named = operationName ? operations.find(({ name }) => name?.value === operationName) : undefined
  // Several without a name: no server knows which one is meant.
  const only = !operationName && operations.length === 1 ? operations[0] : undefined
  return { operation: named ?? only, fragments }
}

/** The name of the operation that is meant: the client's word for it, or its own where it is the only one. */
export function nameOf(document: Document, operationName: string | null | undefined): string | undefined {
  return operationName ?? definitionsOf(document, operationName).operation?.name?.value
}

/** Values of arguments: literals, and variables with their defaults. */
export class Values {
  readonly #variables: Readonly<Record<string, unknown>>
  readonly #defaults = new Map<string, Value>()

  constructor(operation: Definition, variables: Readonly<Record<string, unknown>>) {
    this.#variables = variables
    for (const { variable, defaultValue } of operation.variableDefinitions ?? []) {
      if (defaultValue !== undefined) this.#defaults.set(variable.name.value, defaultValue)
    }
  }

  /** Whether a directive leaves the selection out for sure. */
  excludes({ directives }: Selection): boolean {
    if (directives === undefined || directives.length === 0) return false
    return directives.some(
      (one) =>
        (one.name.value === 'skip' && this.#condition(one) === true) ||
        (one.name.value === 'include' && this.#condition(one) === false),
    )
  }

  #condition({ arguments: args }: Directive): unknown {
    const condition = args?.find(({ name }) => name.value === 'if')
    return condition === undefined ? undefined : this.#valueOf(condition.value)
  }

  /** How often what is below a field comes: the largest of the arguments that say so, at least 0; 1 where none does. */
  timesOf({ arguments: args }: Selection, multipliers: ReadonlySet<string>): number {
    if (multipliers.size === 0 || args === undefined) return 1
    let times: number | undefined
    for (const { name, value } of args) {
      if (!multipliers.has(name.value)) continue
      const found = this.#valueOf(value)
      if (typeof found === 'number' && found >= 0)
        times = Math.max(times ?? 0, Math.min(Math.ceil(found), Number.MAX_SAFE_INTEGER))
    }
    return times ?? 1
  }

  #valueOf(node: Value): unknown {
    if (node.kind === 'Variable') {
      const name = node.name?.value ?? ''
      if (Object.hasOwn(this.#variables, name)) return this.#variables[name]
      const otherwise = this.#defaults.get(name)
      return otherwise === undefined || otherwise.kind === 'Variable' ? undefined : this.#valueOf(otherwise)
    }
    if (node.kind === 'BooleanValue') return node.value
    return node.kind === 'IntValue' || node.kind === 'FloatValue' ? Number(node.value) : undefined
  }
}
