// Tables as CSV. Promise: well-formed whatever is in a cell (RFC 4180), and no cell is a formula to the program that opens it.
// Next: live-view.ts.

/** Rows as CSV, the names of the columns first. Lines end in CR LF. */
export function csv(columns: readonly string[], rows: readonly (readonly (string | number | undefined)[])[]): string {
  return [columns, ...rows].map((row) => `${row.map(cell).join(',')}\r\n`).join('')
}

function cell(value: string | number | undefined): string {
  if (value === undefined) return ''
  // A number is what it is: only texts come from outside.
  if (typeof value === 'number') return String(value)
  // Spreadsheets take what begins so for a formula, also behind blanks; an apostrophe makes it text.
  const safe = /^(?:\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n])/.test(value) ? `'${value}` : value
  return /[",\r\n']/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}
