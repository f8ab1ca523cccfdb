// What is written to a terminal, and to what is none. Promise: colours and progress are for terminals alone, and NO_COLOR is heeded; text
// that came from elsewhere cannot command the terminal. Next: duration.ts.

import { styleText } from 'node:util'
import { monotonicMs } from '../core/clock.ts'

/** A colour or another look. */
export type Format = 'bold' | 'dim' | 'green' | 'yellow' | 'red'

/** Shows a text so, or leaves it as it is. */
export type Style = (format: Format, text: string) => string

/** Colours for standard output, if it takes them. */
export function styler(colour: boolean = hasColour()): Style {
  return colour ? (format, text) => styleText(format, text, { validateStream: false }) : (_, text) => text
}

/** Whether standard output is a terminal with colours that nobody has switched off. */
export function hasColour(): boolean {
  return process.stdout.isTTY && process.stdout.hasColors()
}

/** Writes a line to standard output. */
export function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

/** Writes a value to standard output as JSON. */
export function printJson(value: unknown): void {
  print(JSON.stringify(value, undefined, 2))
}

/** A line on standard error that says how far something is. */
export interface Progress {
  show(text: string): void
  clear(): void
}

const EVERY_MS = 100
const SILENT: Progress = { show() {}, clear() {} }

/** One that is seen on terminals alone. */
export function progressLine(): Progress {
  if (!process.stderr.isTTY) return SILENT
  let shownMs = -EVERY_MS
  let shown = false
  return {
    show(text) {
      const now = monotonicMs()
      if (now - shownMs < EVERY_MS) return
      shownMs = now
      shown = true
      process.stderr.write(`\r${text}\u001b[K`)
    },
    clear() {
      if (shown) process.stderr.write('\r\u001b[K')
      shown = false
    },
  }
}

const LONGEST = 120

/** Text from elsewhere as a terminal may show it: no control characters, no end. */
export function printable(text: string): string {
  const shown = text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (char) => `\\u{${(char.codePointAt(0) as number).toString(16)}}`)
  return shown.length > LONGEST ? `${shown.slice(0, LONGEST)}…` : shown
}

/** A cell: its text, and how it is shown. */
export type Cell = string | { readonly text: string; readonly format?: Format; readonly right?: boolean }

/** Rows with their columns under each other. */
export function columns(rows: readonly (readonly Cell[])[], style: Style): string[] {
  const widths: number[] = []
  for (const row of rows) for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, textOf(cell).length)
  return rows.map((row) =>
    row
      .map((cell, i) => {
        const text = textOf(cell)
        const padding = ' '.repeat(i === row.length - 1 && !isRight(cell) ? 0 : (widths[i] as number) - text.length)
        const shown = typeof cell === 'string' || cell.format === undefined ? text : style(cell.format, text)
        return isRight(cell) ? padding + shown : shown + padding
      })
      .join('  ')
      .trimEnd(),
  )
}

function textOf(cell: Cell): string {
  return typeof cell === 'string' ? cell : cell.text
}

function isRight(cell: Cell): boolean {
  return typeof cell === 'object' && cell.right === true
}
