// Which rule does a path fall under? Promise: no spelling of a path falls under another rule than the path it is served as:
// doubled slashes, dot segments, encodings, backslashes, `;parameters`, absolute forms and (unless configured) case are undone first.
// Linear in the length of the path; no patterns but whole segments. Next: path-gates.ts.

import { ConfigError } from '../core/errors.ts'

/** How paths are compared. */
export interface PathCompare {
  /** Whether `/API` is another path than `/api` (default false). */
  readonly caseSensitive?: boolean
}

/** A rule that matched. */
export interface PathMatch<T> {
  /** The rule's path as it was written. */
  readonly pattern: string
  readonly value: T
}

/** Rules by path. */
export interface PathRules<T> {
  /** The longest rule a request target falls under; undefined for none. */
  match(target: string): PathMatch<T> | undefined
}

/** A set of paths. */
export interface PathSet {
  /** Whether a target is one of the paths or below one, however strictly it is read. */
  has(target: string): boolean
}

/** Times a path is decoded: `%25252F` needs three. What is still encoded then stays as it is. */
const DECODED_AT_MOST = 4

/**
 * The path of a request target in its one spelling: from `/`, without a trailing slash, `/` itself excepted.
 * Never throws; escapes that are none stay as text. Encodings are undone repeatedly, as some proxies and routers decode twice.
 */
export function normalizePath(target: string, { caseSensitive = true }: PathCompare = {}): string {
  const path = pathOf(target)
  const clean = isClean(path) ? path : segmentsOf(decoded(path))
  return caseSensitive ? clean : clean.toLowerCase()
}

/**
 * Builds rules. `/api` and `/api/` match the path and all below it, not `/apiary`; a segment `*` matches any one segment.
 * The rule with the most segments decides; of two with as many, the one whose first differing segment is no `*`.
 * @throws ConfigError for a path that does not begin with `/`, or two that are the same
 */
export function buildPathRules<T>(
  rules: Readonly<Record<string, T>>,
  { caseSensitive = false }: PathCompare = {},
  option = 'rules',
): PathRules<T> {
  const root: Node<T> = newNode()
  for (const [pattern, value] of Object.entries(rules)) {
    const where = `${option}[${JSON.stringify(pattern)}]`
    let node = root
    for (const segment of segments(rulePath(pattern, caseSensitive, where))) {
      let child = segment === '*' ? node.any : node.named.get(segment)
      if (child === undefined) {
        child = newNode<T>()
        if (segment === '*') node.any = child
        else node.named.set(segment, child)
      }
      node = child
    }
    if (node.match !== undefined)
      throw new ConfigError(where, `a path other than that of ${JSON.stringify(node.match.pattern)}`, pattern)
    node.match = { pattern, value }
  }
  return { match: (target) => walk(root, segments(normalizePath(target, { caseSensitive }))) }
}

/**
 * Builds a set, for exemptions. A target that is read differently before and after decoding is in no set: where readers disagree
 * about a path, it is not exempt.
 * @throws ConfigError for a path that does not begin with `/`
 */
export function buildPathSet(paths: readonly string[], { caseSensitive = false }: PathCompare = {}, option = 'paths'): PathSet {
  if (!Array.isArray(paths)) throw new ConfigError(option, 'a list of paths', paths)
  const unique = new Map<string, boolean>()
  paths.forEach((path: unknown, index) => unique.set(rulePath(path, caseSensitive, `${option}[${index}]`), true))
  const rules = buildPathRules(Object.fromEntries(unique), { caseSensitive }, option)
  return { has: (target) => isClean(trimmed(pathOf(target))) && rules.match(target) !== undefined }
}

interface Node<T> {
  readonly named: Map<string, Node<T>>
  any: Node<T> | undefined
  match: PathMatch<T> | undefined
}

function newNode<T>(): Node<T> {
  return { named: new Map(), any: undefined, match: undefined }
}

/** The deepest rule on the way; a named segment is tried before `*`. */
function walk<T>(root: Node<T>, path: readonly string[]): PathMatch<T> | undefined {
  // Both branches of every fork, breadth first and named first: at most as many nodes at a depth as there are rules.
  let level: Node<T>[] = [root]
  let found = root.match
  for (const segment of path) {
    const next: Node<T>[] = []
    for (const node of level) {
      const named = node.named.get(segment)
      if (named !== undefined) next.push(named)
      if (node.any !== undefined) next.push(node.any)
    }
    if (next.length === 0) return found
    found = next.find((node) => node.match !== undefined)?.match ?? found
    level = next
  }
  return found
}

function segments(path: string): readonly string[] {
  return path === '/' ? [] : path.slice(1).split('/')
}

function rulePath(pattern: unknown, caseSensitive: boolean, option: string): string {
  if (typeof pattern !== 'string' || !pattern.startsWith('/'))
    throw new ConfigError(option, 'a path that begins with "/"', pattern)
  if (/[?#]/.test(pattern)) throw new ConfigError(option, 'a path without query or fragment', pattern)
  return normalizePath(pattern, { caseSensitive })
}

/** What lies between an absolute form's origin and the query. */
function pathOf(target: string): string {
  let from = 0
  if (target.charCodeAt(0) !== SLASH) {
    const scheme = target.indexOf('://')
    if (scheme > 0 && scheme < 16) {
      from = target.indexOf('/', scheme + 3)
      if (from < 0) return '/'
    }
  }
  for (let i = from; i < target.length; i++) {
    const char = target.charCodeAt(i)
    if (char === QUESTION || char === HASH) return target.slice(from, i)
  }
  return from === 0 ? target : target.slice(from)
}

const SLASH = 0x2f
const DOT = 0x2e
const QUESTION = 0x3f
const HASH = 0x23

function trimmed(path: string): string {
  return path.length > 1 && path.charCodeAt(path.length - 1) === SLASH ? path.slice(0, -1) : path
}

/** Whether a path needs no repair: the common case, told by one look at each character. */
function isClean(path: string): boolean {
  if (path.charCodeAt(0) !== SLASH) return false
  let before = 0
  for (let i = 0; i < path.length; i++) {
    const char = path.charCodeAt(i)
    // % \ ; and controls; a slash or a dot right after a slash.
    if (char === 0x25 || char === 0x5c || char === 0x3b || char < 0x21 || char === 0x7f) return false
    if (before === SLASH && (char === SLASH || char === DOT)) return false
    before = char
  }
  return path.length === 1 || before !== SLASH
}

function decoded(path: string): string {
  let text = path
  for (let round = 0; round < DECODED_AT_MOST && text.includes('%'); round++) {
    const next = decodeOnce(text)
    if (next === text) break
    text = next
  }
  return text
}

/** Undoes valid escapes, whole sequences of UTF-8; leaves what is none. */
function decodeOnce(text: string): string {
  return text.replace(/(?:%[0-9A-Fa-f]{2})+/g, (escapes) => {
    try {
      return decodeURIComponent(escapes)
    } catch {
      // Not UTF-8: the escapes of ASCII are undone all the same.
      return escapes.replace(/%([0-7][0-9A-Fa-f])/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    }
  })
}

function segmentsOf(path: string): string {
  const kept: string[] = []
  for (const part of path.replaceAll('\\', '/').replaceAll('\0', '').split('/')) {
    const semicolon = part.indexOf(';')
    const segment = (semicolon < 0 ? part : part.slice(0, semicolon)).trim()
    if (segment === '' || segment === '.') continue
    if (segment === '..') kept.pop()
    else kept.push(segment)
  }
  return `/${kept.join('/')}`
}
