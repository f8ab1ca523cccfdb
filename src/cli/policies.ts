// What settings limit, on one of their stores: each named policy, and each entry of the middleware. Promise: a policy here has the name,
// limits, keys and counters it has in the app; nobody decides in the store's place. Next: identity.ts, each-store.ts.

import { ConfigError } from '../core/errors.ts'
import { meant } from '../config/field.ts'
import type { OpenStore } from '../config/open-stores.ts'
import type { Settings } from '../config/settings.ts'
import { type Gate, type GateOptions, buildGate } from '../http/gate.ts'
import type { KeyInput } from '../http/keys.ts'
import { type PathGates, type PathMiddlewareOptions, buildPathGates } from '../http/path-gates.ts'
import type { Store } from '../stores/store.ts'

/** A policy, or an entry of the middleware. */
export interface SettingsPolicy {
  /** As decisions call it. */
  readonly name: string
  /** Where it stands in the settings. */
  readonly where: string
  readonly gate: Gate
  /** What its counters belong to. */
  readonly group: string
  /** Whether it limits nobody now (`enabled`). */
  readonly isOff: boolean
  /** Whether its limits depend on the request. */
  readonly isDynamic: boolean
  /** Whether a function finds its keys, or part of them. */
  readonly isComputed: boolean
}

/** All of them. */
export interface SettingsPolicies {
  readonly all: readonly SettingsPolicy[]
  readonly byPath: PathGates<SettingsPolicy>
  /** What is set in a way that is probably not meant. */
  readonly warnings: readonly string[]
}

/** Builds them. The settings have been checked. */
export function policiesOn(settings: Settings, store: Store): SettingsPolicies {
  const warnings = new Set<string>()
  const entries: SettingsPolicy[] = []
  const build = (own: GateOptions, where: string): SettingsPolicy => {
    // A store that fails is to be told of, not stood in for.
    const options: GateOptions = { ...own, store, onStoreError: 'throw' }
    const gate = buildGate(
      options,
      where,
      (warning) => warnings.add(warning),
      (bare) => bare,
    )
    const { key = 'ip', rate, group = gate.name, enabled } = own
    const isOff = enabled === false || (typeof enabled === 'function' && isFalse(enabled))
    return { name: gate.name, where, gate, group, isOff, isDynamic: typeof rate === 'function', isComputed: isComputed(key) }
  }
  const named = Object.entries(settings.policies).map(([name, own]) =>
    build(own as GateOptions, `policies[${JSON.stringify(name)}]`),
  )
  const middleware = settings.middleware as PathMiddlewareOptions<GateOptions>
  const byPath = buildPathGates<GateOptions, SettingsPolicy>(middleware, 'middleware', (own, where) => {
    const entry = build(own, where)
    entries.push(entry)
    return entry
  })
  return { all: [...named, ...entries], byPath, warnings: [...warnings] }
}

/** A switch that fails does not switch off. */
function isFalse(enabled: () => boolean): boolean {
  try {
    return !enabled()
  } catch {
    return false
  }
}

function isComputed(key: KeyInput): boolean {
  return Array.isArray(key) ? (key as readonly KeyInput[]).some(isComputed) : typeof key !== 'string'
}

/**
 * Those of the names; all of them where none is named. Names are those of decisions, or the places in the settings.
 * @throws ConfigError for a name that none of them has
 */
export function chosen(all: readonly SettingsPolicy[], names: readonly string[]): readonly SettingsPolicy[] {
  for (const name of names) {
    if (all.some((policy) => isCalled(policy, name))) continue
    const known = [...new Set(all.map((policy) => policy.name))]
    throw new ConfigError('--policy', `one of ${known.join(', ')}${meant(name, known)}`, name)
  }
  return names.length === 0 ? all : all.filter((policy) => names.some((name) => isCalled(policy, name)))
}

/** The same, before any store is asked. */
export function checkNames([first]: readonly OpenStore[], settings: Settings, names: readonly string[]): void {
  if (first !== undefined) chosen(policiesOn(settings, first.store).all, names)
}

function isCalled({ name, where }: SettingsPolicy, asked: string): boolean {
  return asked === name || asked === where || where === `policies[${JSON.stringify(asked)}]`
}
