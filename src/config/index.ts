// `smart-ratelimit/config`: settings as data. Promise: everything that code can say of stores and limits, a file or the environment can say;
// what is misspelt is an error. docs/settings.md is for users. Start reading at load-settings.ts.

export { Secret } from '../core/secret.ts'
export { checkSettings } from './check-settings.ts'
export type { Environment } from './environment.ts'
export { type SettingsInUse, fromSettings } from './from-settings.ts'
export { type LoadOptions, loadSettings } from './load-settings.ts'
export { storeFromSettings } from './open-stores.ts'
export {
  type DatabaseSettings,
  type MiddlewareSettings,
  type PolicySettings,
  type RedisSettings,
  type Settings,
  type SettingsInput,
  type StoreEntry,
  type StoreKind,
  defineSettings,
} from './settings.ts'
