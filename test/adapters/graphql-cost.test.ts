// The cost of operations, by documents of the real parser and by documents nobody should be able to hurt with. Next: ../../src/adapters/graphql-cost.ts.

import fc from 'fast-check'
import { type DocumentNode, type SelectionNode, buildSchema, getIntrospectionQuery, parse, validate } from 'graphql'
import { describe, expect, test } from 'vitest'
import { type OperationCostOptions, costByFields, operationCost } from '../../src/adapters/graphql-cost.ts'
import { ConfigError } from '../../src/core/errors.ts'

const cost = (source: string, options?: OperationCostOptions): number => operationCost(parse(source), options)

describe('an operation costs', () => {
  test.each<[string, string, number]>([
    ['one per field', '{ a b { c d } }', 4],
    ['each alias', '{ a: search b: search c: search }', 3],
    ['a field as often as it is written', '{ a a a }', 3],
    [
      'nothing for texts, comments and arguments',
      '# { a b c }\n{ a(text: "{ b c d }", block: """{ e f }""", in: { g: 1, h: [2, 3] }) }',
      1,
    ],
    ['nothing for __typename', '{ __typename a { __typename b } }', 2],
    ['at least one', '{ __typename }', 1],
    ['what named fragments have, wherever they are spread', '{ a { ...F } b { ...F } } fragment F on T { c d }', 6],
    ['what inline fragments have', '{ a { ... on T { b } ... { c } } }', 3],
    ['fragments within fragments', '{ ...A } fragment A on T { a ...B ...B } fragment B on T { b { c } }', 5],
    ['nothing for fragments that are not used', '{ a } fragment F on T { b c d }', 1],
    [
      'nothing for what @skip and @include leave out',
      '{ a @skip(if: true) { b } c @include(if: false) ...F @skip(if: true) d } fragment F on T { e }',
      1,
    ],
    ['what @skip and @include keep', '{ a @skip(if: false) b @include(if: true) { c } }', 3],
    ['what other directives stand on', '{ a @defer b @skipped(if: true) }', 2],
    ['introspection as any other', '{ __schema { types { name } } }', 3],
    ['mutations and subscriptions alike', 'subscription { a { b } }', 2],
    ['nothing for fragments within themselves', '{ ...A } fragment A on T { a ...B } fragment B on T { b ...A }', 2],
    ['nothing for fragments that do not exist', '{ a ...Nowhere }', 1],
  ])('%s', (_, source, expected) => {
    expect(cost(source)).toBe(expected)
  })

  test('what the operation of that name costs; a missing or doubtful one costs 1', () => {
    const source = 'query A { a } query B { a b c ...F } fragment F on T { d }'
    expect(cost(source, { operationName: 'A' })).toBe(1)
    expect(cost(source, { operationName: 'B' })).toBe(4)
    expect(cost(source, { operationName: 'C' })).toBe(1)
    expect(cost(source)).toBe(1)
    expect(cost('query B { a b }', { operationName: null })).toBe(2)
  })

  test('by variables and their defaults what @skip and @include say; what is not known counts', () => {
    const source =
      'query ($on: Boolean = true, $off: Boolean) { a @include(if: $on) { b c } d @skip(if: $off) e @include(if: $none) }'
    expect(cost(source)).toBe(5)
    expect(cost(source, { variables: { on: false } })).toBe(2)
    expect(cost(source, { variables: { on: false, off: true } })).toBe(1)
    expect(cost(source, { variables: { off: 'true' } })).toBe(5)
    expect(cost('query ($toString: Boolean) { a @skip(if: $toString) b }')).toBe(2)
    expect(cost('query ($toString: Boolean = true) { a @skip(if: $toString) b }')).toBe(1)
  })

  test('more by weights, and nothing for fields of weight 0', () => {
    const weights = { search: 10, id: 0 }
    expect(cost('{ search { id name } constructor }', { weights })).toBe(12)
  })

  test('what lists multiply to, by literals, variables and defaults; the largest of several counts', () => {
    const multipliers = ['first', 'last']
    expect(cost('{ users(first: 50) { name posts(last: 10) { title } } }', { multipliers })).toBe(1 + 50 * (1 + 1 + 10))
    expect(cost('{ users(first: 2, last: 5) { name } }', { multipliers })).toBe(6)
    expect(cost('query ($n: Int = 3) { users(first: $n) { name } }', { multipliers })).toBe(4)
    expect(cost('query ($n: Int = 3) { users(first: $n) { name } }', { multipliers, variables: { n: 7 } })).toBe(8)
    expect(cost('{ users(first: 50) { name } }')).toBe(2)
    for (const n of [-5, Number.NaN, '9', null, {}]) {
      expect(cost('query ($n: Int) { users(first: $n) { name } }', { multipliers, variables: { n } })).toBe(2)
    }
    expect(cost('{ users(first: 0) { name } }', { multipliers })).toBe(1)
    // JSON has numbers that JavaScript takes for infinity, which times nothing would be no number.
    const variables = JSON.parse('{ "n": 1e999 }') as { n: number }
    expect(cost('query ($n: Int) { users(first: $n) { name } }', { multipliers, variables })).toBe(2 ** 53 - 1)
    expect(cost('query ($n: Int) { users(first: $n) { __typename } }', { multipliers, variables })).toBe(1)
    expect(cost('{ users(first: 1e999) { __typename ...Nothing } a }', { multipliers })).toBe(2)
  })

  test('nothing for introspection where it is free', () => {
    const introspection = parse(getIntrospectionQuery())
    expect(operationCost(introspection)).toBeGreaterThan(100)
    expect(operationCost(introspection, { introspection: false })).toBe(1)
    expect(cost('{ a __type(name: "T") { name } }', { introspection: false })).toBe(1)
  })

  test('the same as an option of a limiter', () => {
    const document = parse('query Q ($n: Int) { users(first: $n) { name } }')
    const operation = { document, operationName: 'Q', variables: { n: 4 } }
    expect(costByFields({ multipliers: ['first'] })(operation)).toBe(5)
    expect(costByFields()(operation)).toBe(2)
  })

  test('what a naive count says, for every tree of fields and fragments', () => {
    interface Tree {
      readonly name: string
      readonly below: readonly Tree[]
      readonly spread: readonly number[]
    }
    const names = fc.constantFrom('a', 'b', 'c')
    const spreads = fc.array(fc.nat(3), { maxLength: 2 })
    const tree = fc.memo((depth): fc.Arbitrary<Tree> =>
      fc.record({ name: names, below: depth <= 1 ? fc.constant([]) : fc.array(tree(), { maxLength: 3 }), spread: spreads }),
    )
    const text = ({ name, below, spread }: Tree, from: number): string => {
      const inner = [...below.map((one) => text(one, from)), ...spread.filter((to) => to >= from).map((to) => `...F${to}`)]
      return inner.length === 0 ? name : `${name} { ${inner.join(' ')} }`
    }
    const naive = ({ below, spread }: Tree, from: number, fragments: readonly Tree[]): number =>
      1 +
      below.reduce((sum, one) => sum + naive(one, from, fragments), 0) +
      spread.filter((to) => to >= from).reduce((sum, to) => sum + naive(fragments[to] as Tree, to + 1, fragments), 0)
    fc.assert(
      fc.property(tree(4), fc.array(tree(3), { minLength: 4, maxLength: 4 }), (root, fragments) => {
        const defined = fragments.map((one, at) => `fragment F${at} on T { ${text(one, at + 1)} }`)
        expect(cost(`{ ${text(root, 0)} } ${defined.join(' ')}`)).toBe(naive(root, 0, fragments))
      }),
    )
  })
})

const NAME = (value: string) => ({ kind: 'Name', value }) as const
const documentOf = (selections: readonly object[], fragments: readonly (readonly object[])[] = []): DocumentNode => ({
  kind: 'Document' as never,
  definitions: [
    {
      kind: 'OperationDefinition' as never,
      operation: 'query' as never,
      selectionSet: { kind: 'SelectionSet' as never, selections: selections as SelectionNode[] },
    },
    ...fragments.map((inner, at) => ({
      kind: 'FragmentDefinition' as never,
      name: NAME(`F${at}`) as never,
      typeCondition: { kind: 'NamedType', name: NAME('T') } as never,
      selectionSet: { kind: 'SelectionSet' as never, selections: inner as SelectionNode[] },
    })),
  ],
})
const spread = (at: number) => ({ kind: 'FragmentSpread', name: NAME(`F${at}`) })
const field = (below?: readonly object[]) => ({
  kind: 'Field',
  name: NAME('a'),
  ...(below && { selectionSet: { kind: 'SelectionSet', selections: below } }),
})

describe('a hostile document', () => {
  test('whose fragments double eighty times is counted by its size, up to the largest whole number', () => {
    const doubling = Array.from({ length: 80 }, (_, at) => (at === 79 ? [field()] : [spread(at + 1), spread(at + 1)]))
    expect(operationCost(documentOf([spread(0)], doubling))).toBe(2 ** 53 - 1)
    const ten = Array.from({ length: 10 }, (_, at) => (at === 9 ? [field()] : [spread(at + 1), spread(at + 1)]))
    expect(operationCost(documentOf([spread(0)], ten))).toBe(512)
  })

  test('of a hundred thousand fields, wide, deep or in a chain of fragments, is counted without running out of stack', () => {
    const many = 100_000
    expect(operationCost(documentOf(Array.from({ length: many }, () => field())))).toBe(many)
    let deep = field()
    for (let i = 1; i < many; i++) deep = field([deep])
    expect(operationCost(documentOf([deep]))).toBe(many)
    const chain = Array.from({ length: many }, (_, at) => (at === many - 1 ? [field()] : [field(), spread(at + 1)]))
    expect(operationCost(documentOf([spread(0)], chain))).toBe(many)
  })

  test('takes a time that grows with its size, not with what it multiplies to', () => {
    const visits = (size: number): number => {
      let read = 0
      const watched = (one: object) =>
        Object.defineProperty({ ...one }, 'kind', { get: () => (read++, (one as { kind: string }).kind) })
      const bomb = Array.from({ length: size }, (_, at) =>
        Array.from({ length: 10 }, () => watched(at === size - 1 ? field() : spread(at + 1))),
      )
      expect(operationCost(documentOf([spread(0)], bomb))).toBe(Math.min(10 ** size, 2 ** 53 - 1))
      return read
    }
    const [small, large] = [visits(100), visits(1000)]
    expect(small).toBeGreaterThan(1000)
    expect(large / small).toBeLessThan(11)
  })

  test('that names fields and variables like properties of objects has no effect', () => {
    expect(cost('{ __proto__ constructor hasOwnProperty(first: 3) { toString } }', { weights: {}, multipliers: ['first'] })).toBe(
      6,
    )
    expect(cost('{ ...constructor ...toString }')).toBe(1)
  })

  test('that is valid by its schema counts like any other', () => {
    const schema = buildSchema('type Query { a: Query, b: Int }')
    const document = parse('{ a { a { b } x: b y: b } b }')
    expect(validate(schema, document)).toEqual([])
    expect(operationCost(document)).toBe(6)
  })
})

test.each([
  ['an unknown option', { weight: {} }, /operationCost\.weight/],
  ['a weight that is none', { weights: { a: 1.5 } }, /operationCost\.weights\.a.*whole number/],
  ['a negative weight', { weights: { a: -1 } }, /operationCost\.weights\.a/],
  ['multipliers that are no list', { multipliers: 'first' }, /operationCost\.multipliers/],
  ['introspection that is no boolean', { introspection: 'no' }, /operationCost\.introspection/],
])('%s is refused', (_, options, message) => {
  expect(() => operationCost(parse('{ a }'), options as never)).toThrow(ConfigError)
  expect(() => operationCost(parse('{ a }'), options as never)).toThrow(message)
  expect(() => costByFields(options as never)).toThrow(/costByFields/)
})
