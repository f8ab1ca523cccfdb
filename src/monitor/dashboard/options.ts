// What the dashboard takes, and its check. Promise: a misspelt or impossible option fails here, naming it. Next: dashboard.ts.

import { ConfigError } from '../../core/errors.ts'
import { type Scheduler, systemScheduler } from '../../core/scheduler.ts'
import { checkNames } from '../../core/check-names.ts'
import { LiveView } from '../live-view.ts'
import { type DashboardAuth, type Doorkeeper, doorkeeper } from './auth.ts'
import { checkedBase } from './mount.ts'

/** Options of {@link dashboard}. */
export interface DashboardOptions<Native = unknown> {
  /**
   * Who may look: a function of the request, such as `tokenAuth(…)`. False: something in front of the dashboard decides. It may be left out with
   * `NODE_ENV=development` alone, and then requests from this machine are answered and no others.
   */
  readonly auth?: DashboardAuth<Native> | false
  /** Where it is, unless the framework has mounted it and so strips its path (default `/dashboard`). */
  readonly basePath?: string
  /** What to show (default: a `liveView()` of its own, which watches every limiter of the process). */
  readonly view?: LiveView
  /** Heading and title of the page (default `Rate limits`). */
  readonly title?: string
  /** Ms between two updates of an open page, 200 to 30 000 (default 1000). */
  readonly intervalMs?: number
  /** Pages that are kept up to date at a time, 1 to 1000 (default 20); further ones ask every few seconds. */
  readonly maxListeners?: number
  /** For tests: timers instead of the machine's. */
  readonly scheduler?: Scheduler
}

/** Checked, with defaults. */
export interface DashboardSettings {
  readonly admit: Doorkeeper
  readonly base: string
  readonly view: LiveView | undefined
  readonly title: string
  readonly intervalMs: number
  readonly maxListeners: number
  readonly scheduler: Scheduler
}

const NAMES = [
  'auth',
  'basePath',
  'view',
  'title',
  'intervalMs',
  'maxListeners',
  'scheduler',
] as const satisfies readonly (keyof DashboardOptions)[]

/** @throws ConfigError for an option that is unknown or wrong, and for a dashboard without an `auth` decision */
export function dashboardSettings(options: DashboardOptions<never>): DashboardSettings {
  checkNames(options, NAMES, 'dashboard')
  const { basePath = '/dashboard', view, title = 'Rate limits', intervalMs = 1000, maxListeners = 20 } = options
  const { scheduler = systemScheduler } = options
  const wrong = (key: (typeof NAMES)[number], expected: string): never => {
    throw new ConfigError(`dashboard.${key}`, expected, options[key])
  }
  if (view !== undefined && !(view instanceof LiveView)) wrong('view', 'a live view, as liveView() makes it')
  if (typeof title !== 'string' || title === '' || title.length > 100) wrong('title', 'a text of 1 to 100 characters')
  if (!Number.isInteger(intervalMs) || intervalMs < 200 || intervalMs > 30_000) wrong('intervalMs', 'whole ms from 200 to 30000')
  if (!Number.isInteger(maxListeners) || maxListeners < 1 || maxListeners > 1000)
    wrong('maxListeners', 'a whole number from 1 to 1000')
  if (typeof scheduler?.after !== 'function') wrong('scheduler', 'a scheduler { now(), after() }')
  const base = checkedBase(basePath, 'dashboard.basePath')
  return {
    admit: doorkeeper(options.auth as DashboardAuth | false | undefined, 'dashboard'),
    base,
    view,
    title,
    intervalMs,
    maxListeners,
    scheduler,
  }
}
