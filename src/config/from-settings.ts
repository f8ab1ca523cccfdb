// All that an app takes from its settings: a store, the middleware's options, and each policy's. Promise: they share one store; the kill
// switch of settings that are read again counts from then on, for everything made before. Next: load-settings.ts, open-stores.ts.

import { ConfigError } from '../core/errors.ts'
import type { GateOptions } from '../http/gate.ts'
import type { PathMiddlewareOptions } from '../http/path-gates.ts'
import type { Store } from '../stores/store.ts'
import { isSettings } from './check-settings.ts'
import { meant } from './field.ts'
import { type LoadOptions, loadSettings } from './load-settings.ts'
import { storeFromSettings } from './open-stores.ts'
import { isPlainObject } from './plain.ts'
import type { PolicySettings, Settings } from './settings.ts'

/** What {@link fromSettings} gives. */
export interface SettingsInUse {
  /** The settings, as they were last read. */
  readonly settings: Settings
  readonly store: Store
  /** For `rateLimitMiddleware` of any adapter. */
  readonly middleware: PathMiddlewareOptions<GateOptions>
  /**
   * For `rateLimit` of any adapter: the options of a named policy.
   * @throws ConfigError for a name that is not in the settings
   */
  readonly policy: (name: string) => GateOptions
  /**
   * Reads the settings again. `enabled` counts at once for everything; the rest for what is made from now on. The store stays.
   * @throws ConfigError (as a rejection); the old settings stay in force
   */
  readonly reload: () => Promise<Settings>
  /** Closes the store. */
  readonly close: () => Promise<void>
}

/**
 * Reads settings and opens their store: `const { middleware, policy } = await fromSettings()`.
 * @param from where to look, or settings that were loaded (which `reload()` then leaves as they are)
 * @throws ConfigError (as a rejection) naming the setting and where it came from
 */
export async function fromSettings(from: LoadOptions | Settings = {}): Promise<SettingsInUse> {
  const load = (): Promise<Settings> => (isSettings(from) ? Promise.resolve(from) : loadSettings(from))
  let settings = await load()
  const store = await storeFromSettings(settings)
  // What is limited now asks the settings that are in force then.
  const live = (own: (now: Settings) => Switch) => (): boolean => settings.enabled && isOn(own(settings))
  return {
    get settings() {
      return settings
    },
    store,
    get middleware() {
      const { rateLimits, ...middleware } = settings.middleware
      const enabled = live((now) => now.middleware.enabled)
      return { ...middleware, ...(rateLimits !== undefined && { rateLimits: liveEntries(rateLimits, live) }), store, enabled }
    },
    policy(name) {
      const policy = policyOf(settings, name)
      return { ...policy, store, enabled: live((now) => now.policies[name]?.enabled) }
    },
    reload: async () => (settings = await load()),
    close: async () => store.close(),
  }
}

type Switch = boolean | (() => boolean) | undefined
type RateLimits = NonNullable<Settings['middleware']['rateLimits']>

function isOn(own: Switch): boolean {
  return typeof own === 'function' ? own() : own !== false
}

/** Entries that have a switch of their own would not ask the middleware's. */
function liveEntries(rateLimits: RateLimits, live: (own: (now: Settings) => Switch) => () => boolean): RateLimits {
  const entries = Object.entries(rateLimits).map(([path, entry]) => {
    if (switchOf(entry) === undefined) return [path, entry] as const
    return [path, { ...(entry as object), enabled: live((now) => switchOf(now.middleware.rateLimits?.[path])) }] as const
  })
  return Object.fromEntries(entries)
}

function switchOf(entry: RateLimits[string] | undefined): Switch {
  return isPlainObject(entry) ? (entry['enabled'] as Switch) : undefined
}

function policyOf({ policies }: Settings, name: string): PolicySettings {
  const policy = Object.hasOwn(policies, name) ? policies[name] : undefined
  if (policy !== undefined) return policy
  const names = Object.keys(policies)
  const expected = names.length === 0 ? 'settings with policies' : `one of ${names.join(', ')}${meant(name, names)}`
  throw new ConfigError('policy(name)', expected, name)
}
