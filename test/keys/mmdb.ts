// Writes tiny databases in MaxMind's format, so that the real reader has something real to read: a binary tree over the bits of IPv6
// addresses (IPv4 ones begin with 96 zeros), with records of 24 bits, and the values behind it. Next: maxmind.test.ts.

type Value = string | number | { readonly [key: string]: Value } | readonly Value[]
/** A node's two sides: a node, the number of a value, or nothing. */
type Side = Node | number | undefined
type Node = [Side, Side]

const SEPARATOR = new Uint8Array(16)
const MARKER = Buffer.from('\xab\xcd\xefMaxMind.com', 'latin1')

/** A database of blocks, such as `2001:db8::/32` or `192.0.2.0/24`, and what it says of them. Blocks must not overlap. */
export function mmdb(blocks: Readonly<Record<string, Value>>): Buffer {
  const values: Value[] = []
  const root: Node = [undefined, undefined]
  for (const [block, value] of Object.entries(blocks)) insert(root, bitsOf(block), values.push(value) - 1)

  const nodes: Node[] = []
  const number = (node: Node): void => {
    nodes.push(node)
    for (const side of node) if (Array.isArray(side)) number(side)
  }
  number(root)

  const encoded = values.map(encode)
  const offsets = encoded.map((_, at) => encoded.slice(0, at).reduce((sum, { length }) => sum + length, 0))
  const tree = Buffer.alloc(nodes.length * 6)
  nodes.forEach((node, at) => {
    node.forEach((side, which) => {
      // Less than the number of nodes: a node. Equal: nothing. More: a value, counted from behind the separator.
      const record = Array.isArray(side)
        ? nodes.indexOf(side)
        : side === undefined
          ? nodes.length
          : nodes.length + SEPARATOR.length + (offsets[side] as number)
      tree.writeUIntBE(record, at * 6 + which * 3, 3)
    })
  })
  const metadata = encode({
    binary_format_major_version: 2,
    binary_format_minor_version: 0,
    build_epoch: 1_700_000_000,
    database_type: 'Test',
    description: { en: 'made by a test' },
    ip_version: 6,
    languages: ['en'],
    node_count: nodes.length,
    record_size: 24,
  })
  return Buffer.concat([tree, SEPARATOR, ...encoded, MARKER, metadata])
}

function insert(root: Node, bits: readonly (0 | 1)[], value: number): void {
  let node = root
  for (const bit of bits.slice(0, -1)) {
    const next = node[bit]
    node = Array.isArray(next) ? next : (node[bit] = [undefined, undefined])
  }
  node[bits.at(-1) as 0 | 1] = value
}

/** The bits of a block's prefix. */
function bitsOf(block: string): (0 | 1)[] {
  const [address = '', length] = block.split('/')
  const isV4 = address.includes('.')
  const bytes = isV4 ? address.split('.').map(Number) : wordsOf(address).flatMap((word) => [word >> 8, word & 255])
  const bits = bytes.flatMap((byte) => [7, 6, 5, 4, 3, 2, 1, 0].map((at) => ((byte >> at) & 1) as 0 | 1))
  return [...Array<0>(isV4 ? 96 : 0).fill(0), ...bits.slice(0, Number(length))]
}

function wordsOf(address: string): number[] {
  const [head = [], tail = []] = address.split('::').map((side) => (side === '' ? [] : side.split(':')))
  return [...head, ...Array<string>(8 - head.length - tail.length).fill('0'), ...tail].map((word) => Number.parseInt(word, 16))
}

function encode(value: Value): Buffer {
  if (typeof value === 'string') {
    const text = Buffer.from(value)
    return Buffer.concat([control(2, text.length), text])
  }
  if (typeof value === 'number') {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32BE(value)
    return Buffer.concat([control(6, 4), bytes])
  }
  if (Array.isArray(value)) return Buffer.concat([control(11, value.length), ...(value as readonly Value[]).map(encode)])
  const entries = Object.entries(value)
  return Buffer.concat([control(7, entries.length), ...entries.flatMap(([key, own]) => [encode(key), encode(own)])])
}

/** Type and size; sizes below 29 alone, which is enough here. */
function control(type: number, size: number): Buffer {
  return type < 8 ? Buffer.from([(type << 5) | size]) : Buffer.from([size, type - 7])
}
