// better-sqlite3 has no types of its own; its interface is that which libsql's types describe. Next: faults/sqlite.test.ts.

declare module 'better-sqlite3' {
  import Libsql from 'libsql'
  export default Libsql
}
