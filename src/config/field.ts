// What the vocabulary of settings is made of: values, sections of them, lists and maps of sections. Each value knows how a variable's text
// is read and what it may be. Next: vocabulary.ts, the words themselves.

import { ConfigError } from '../core/errors.ts'
import { nearestWord } from '../http/key-text.ts'

/** One value. */
export interface Value {
  readonly kind: 'value'
  /** As the documentation names it. */
  readonly type: string
  /** As the documentation shows it; empty for none. */
  readonly fallback: string
  /** Reads a variable's text; what is not as it should be stays text, for the check to refuse. Without it there is no variable. */
  readonly read?: (text: string) => unknown
  /** The variable, where it is not named by the value's path. */
  readonly variable?: string
  /** What of it is kept from being shown. */
  readonly hides?: 'text' | 'url' | 'urls' | 'object'
  /** @throws ConfigError. Values without it are checked by what they are for. */
  readonly check?: (value: unknown, option: string) => void
}

/** Values by name. */
export interface Section {
  readonly kind: 'section'
  readonly fields: Fields
}

/** A list of sections, whose names may depend on what is in one. */
export interface List {
  readonly kind: 'list'
  readonly type: string
  readonly fieldsOf: (item: Readonly<Record<string, unknown>>, option: string) => Fields
}

/** Sections by any name. What is no object is passed on as `short` has it. */
export interface Table {
  readonly kind: 'table'
  readonly type: string
  readonly fields: Fields
  readonly checkName: (name: string, option: string) => void
  readonly short: (value: unknown) => unknown
}

/** One thing that settings may have. */
export type Field = Value | Section | List | Table

/** What settings may have, by name. */
export type Fields = Readonly<Record<string, Field>>

export function value(type: string, fallback: string, more: Omit<Value, 'kind' | 'type' | 'fallback'> = {}): Value {
  return { kind: 'value', type, fallback, ...more }
}

export function section(fields: Fields): Section {
  return { kind: 'section', fields }
}

/** A number as text, if it is one. */
export function asNumber(text: string): unknown {
  return /^-?\d{1,17}(\.\d{1,9})?$/.test(text.trim()) ? Number(text) : text
}

/** `true`, `1`, `yes`, `on`, and their opposites. */
export function asBoolean(text: string): unknown {
  const word = text.trim().toLowerCase()
  if (['true', '1', 'yes', 'on'].includes(word)) return true
  return ['false', '0', 'no', 'off'].includes(word) ? false : text
}

export function asNumberOrFalse(text: string): unknown {
  return ['false', 'no', 'off'].includes(text.trim().toLowerCase()) ? false : asNumber(text)
}

/** Parts between commas. */
export function asList(text: string): unknown {
  return text.split(',').map((part) => part.trim())
}

export function asText(text: string): unknown {
  return text
}

export function isWhole(least: number, most: number): NonNullable<Value['check']> {
  return (found, option) => {
    if (!Number.isSafeInteger(found) || (found as number) < least || (found as number) > most)
      throw new ConfigError(option, `a whole number from ${least} to ${most}`, shown(found))
  }
}

/** Whether it is in range is for others to say; that it is a number is said here, where no text shows. */
export function isNumber(found: unknown, option: string): void {
  if (typeof found !== 'number') throw new ConfigError(option, 'a number', shown(found))
}

export function isNumberOrFalse(found: unknown, option: string): void {
  if (typeof found !== 'number' && found !== false) throw new ConfigError(option, 'a number, or false', shown(found))
}

/** A whole address is no host, and may have a password in it. */
export function isHost(found: unknown, option: string): void {
  if (typeof found !== 'string' || !/^[^\s@/?#]+$/.test(found))
    throw new ConfigError(option, 'a name or an address of a host', typeof found === 'string' ? '(not shown)' : found)
}

export function isBoolean(found: unknown, option: string): void {
  if (typeof found !== 'boolean') throw new ConfigError(option, 'true or false', shown(found))
}

export function isText(found: unknown, option: string): void {
  if (typeof found === 'string' && found !== '') return
  // It may be a password that is a number.
  throw new ConfigError(option, 'a text that is not empty', found === undefined || found === '' ? found : typeof found)
}

export function isOneOf(...words: readonly string[]): NonNullable<Value['check']> {
  return (found, option) => {
    if (!words.includes(found as string))
      throw new ConfigError(option, `one of ${words.join(', ')}${meant(found, words)}`, shown(found))
  }
}

/** What an error may show of a value that came to the wrong place: an address, a password or what looks like one it may not. */
export function shown(found: unknown): unknown {
  if (typeof found !== 'string' || /^[\w ./,*+-]{0,40}$/.test(found)) return found
  return '(not shown)'
}

/** ` (did you mean "…"?)`, where a word is near. */
export function meant(found: unknown, words: readonly string[]): string {
  if (typeof found !== 'string') return ''
  const plain = (text: string): string => text.replace(/[-_.\s]/g, '').toLowerCase()
  const nearest = nearestWord(
    plain(found),
    words.map((word) => plain(word)),
  )
  const word = words.find((one) => plain(one) === nearest)
  return word === undefined ? '' : ` (did you mean "${word}"?)`
}
