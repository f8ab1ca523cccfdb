// What is sent to the server, as text. Promise: a text that is put into a statement stays a text, under every sql_mode and character
// set; the same statements serve MySQL and MariaDB but for what Dialect tells. Next: schema.sql; server.ts, which sends them.

/** What differs between servers and connections. */
export interface Dialect {
  readonly server: 'mysql' | 'mariadb'
  /**
   * How several statements travel: `together` in one trip, as a `block` in one trip (MariaDB, where the client does not allow the
   * former), or one after the other.
   */
  readonly travel: 'together' | 'block' | 'apart'
}

/** The key of the row that tells the table's version. */
export const VERSION_KEY = ' version'
/** The version of schema.sql. */
export const VERSION = 1

/** Ms since 1970 when a statement began. Not by UNIX_TIMESTAMP(NOW()), which is an hour off when summer time ends. */
export const NOW_MS = `TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(6)) DIV 1000`

/** A text of printable ASCII as a literal. What holds a backslash is written in hex: whether one escapes is a setting. */
export function literal(text: string): string {
  if (!text.includes('\\')) return `'${text.replaceAll("'", "''")}'`
  return `_ascii x'${Buffer.from(text, 'latin1').toString('hex')}'`
}

/** `table` or `schema.table` as an identifier. */
export function identifier(table: string): string {
  return table
    .split('.')
    .map((name) => `\`${name}\``)
    .join('.')
}

/** What is done with a row: read alone, changed if it is there, or made if it is not. */
export type RowUse = 'looks' | 'changes' | 'makes'

/** A row as it is written. */
export interface Row {
  readonly key: string
  readonly state: string
  readonly expiresAt: number
  readonly updatedAt: number
}

const COLUMNS = '(`key`, state, expires_at, updated_at)'

/** The statements about one table. Result rows are `[key, state, now]`, with NULL for what a row does not tell. */
export class Statements {
  readonly table: string

  constructor(table: string) {
    this.table = identifier(table)
  }

  /** Reads rows, and the time, locking nothing. */
  read(keys: readonly string[]): string {
    return `${this.time()} UNION ALL SELECT \`key\`, state, NULL FROM ${this.table} WHERE ${among(keys)}`
  }

  time(): string {
    return `SELECT NULL AS \`key\`, NULL AS state, ${NOW_MS} AS now`
  }

  /**
   * Locks rows, and then reads them and the time.
   * @param keys sorted: all who lock several rows do it in this order
   */
  lock(keys: readonly string[], use: (key: string) => RowUse, { server }: Dialect): string[] {
    const statements: string[] = []
    const locked = keys.filter((key) => use(key) !== 'looks')
    for (let from = 0, to = 0; from < locked.length; from = to) {
      const first = use(locked[from] as string)
      while (to < locked.length && use(locked[to] as string) === first) to++
      const some = locked.slice(from, to)
      if (first === 'changes') {
        statements.push(
          `SELECT \`key\`, state, NULL AS now FROM ${this.table} FORCE INDEX (PRIMARY) WHERE ${among(some)} ORDER BY \`key\` FOR UPDATE`,
        )
        continue
      }
      const rows = some.map((key) => `(${literal(key)}, '', 0, 0)`).join(', ')
      const insert = `INSERT INTO ${this.table} ${COLUMNS} VALUES ${rows} ON DUPLICATE KEY UPDATE state = state`
      statements.push(server === 'mariadb' ? `${insert} RETURNING \`key\`, state, NULL AS now` : insert)
    }
    // By now every lock is held: the time is that of the decisions.
    const unread = keys.filter((key) => use(key) === 'looks' || (use(key) === 'makes' && server !== 'mariadb'))
    statements.push(unread.length === 0 ? this.time() : this.read(unread))
    return statements
  }

  /** Writes rows that are locked. Several statements when they are large. */
  write(rows: readonly Row[]): string[] {
    const statements: string[] = []
    for (const { key, state, expiresAt, updatedAt } of rows) {
      const values = `(${literal(key)}, ${literal(state)}, ${expiresAt}, ${updatedAt})`
      const last = statements.length - 1
      if (last >= 0 && (statements[last] as string).length + values.length < LONGEST_STATEMENT) statements[last] += `, ${values}`
      else statements.push(`INSERT INTO ${this.table} ${COLUMNS} VALUES ${values}`)
    }
    return statements.map(
      (insert) =>
        `${insert} ON DUPLICATE KEY UPDATE state = VALUES(state), expires_at = VALUES(expires_at), updated_at = VALUES(updated_at)`,
    )
  }

  /** A write that changes nothing. */
  touch(): string {
    return `UPDATE ${this.table} SET state = state WHERE ${among([VERSION_KEY])}`
  }

  delete(keys: readonly string[]): string {
    return `DELETE FROM ${this.table} WHERE ${among(keys)}`
  }
}

/** Far below the smallest `max_allowed_packet` that servers are shipped with (4 MB). */
const LONGEST_STATEMENT = 500_000
const LONGEST_TRIP = 3_000_000

export function among(keys: readonly string[]): string {
  return keys.length === 1 ? `\`key\` = ${literal(keys[0] as string)}` : `\`key\` IN (${keys.map(literal).join(', ')})`
}

/** What a transaction begins with. Locks are waited for, and kept by a process that stands still, for about so many seconds at most. */
export function begin(seconds: number): string[] {
  return [
    `SET @ratelimit_lock = @@SESSION.innodb_lock_wait_timeout, @ratelimit_idle = @@SESSION.wait_timeout,
 SESSION innodb_lock_wait_timeout = ${seconds}, SESSION wait_timeout = ${seconds + 1}`,
    // Rows are found by their keys alone, so the gaps between them need no lock and are left to others.
    'SET TRANSACTION ISOLATION LEVEL READ COMMITTED',
    'START TRANSACTION',
  ]
}

/** What a transaction ends with: the session is as it was. */
export function end(how: 'COMMIT' | 'ROLLBACK'): string[] {
  return [how, 'SET SESSION innodb_lock_wait_timeout = @ratelimit_lock, SESSION wait_timeout = @ratelimit_idle']
}

/** Statements as the texts that are sent, one per trip. */
export function trips(statements: readonly string[], { travel }: Dialect): string[] {
  if (travel === 'apart' || statements.length === 1) return [...statements]
  const groups: string[][] = []
  let size = Infinity
  for (const statement of statements) {
    if (size + statement.length > LONGEST_TRIP) {
      groups.push([])
      size = 0
    }
    groups.at(-1)?.push(statement)
    size += statement.length
  }
  return groups.map((group) => (travel === 'block' ? `BEGIN NOT ATOMIC ${group.join('; ')}; END` : group.join('; ')))
}
