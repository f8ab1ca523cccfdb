// Why a request would be answered as it would: which rule, which client, which key, which limit. Promise: found by the very code that decides, and
// nothing is counted. Next: explain-text.ts, stand-in.ts.

import { ConfigError, RateLimitError } from '../core/errors.ts'
import type { RequestView } from '../core/request.ts'
import type { OpenStore } from '../config/open-stores.ts'
import type { Settings } from '../config/settings.ts'
import type { ClientTrail } from '../http/address.ts'
import type { Passage } from '../http/gate.ts'
import type { PathFinding } from '../http/path-gates.ts'
import { buildPathSet, normalizePath } from '../http/path-rules.ts'
import { type SettingsPolicies, type SettingsPolicy, chosen, policiesOn } from './policies.ts'

/** What decided which policy a request belongs to. */
export interface Rule {
  readonly by: PathFinding<unknown>['by'] | '--policy'
  /** The entry, as it is written in the settings. */
  readonly pattern: string | undefined
}

/** The client of a request. */
export interface ExplainedClient extends ClientTrail {
  /** Its whole address. */
  readonly address: string | undefined
  /** What it is counted under where addresses are counted. */
  readonly block: string | undefined
}

/** Everything about one request. */
export interface Explanation {
  readonly method: string
  readonly target: string
  /** The path as rules see it. */
  readonly path: string
  readonly rule: Rule
  /** Undefined where nothing is limited. */
  readonly policy: SettingsPolicy | undefined
  readonly client: ExplainedClient | undefined
  readonly passage: Passage | undefined
  /** Why there is no answer. */
  readonly error: string | undefined
  /** What is worth knowing about the answer. */
  readonly notes: readonly string[]
  readonly warnings: readonly string[]
}

/**
 * Explains a request by the settings and the first of the stores.
 * @param policy instead of the middleware's entry that its path belongs to
 * @throws ConfigError for a policy that is not there
 */
export async function explain(
  [store, ...others]: readonly OpenStore[],
  settings: Settings,
  view: RequestView,
  policy: string | undefined,
): Promise<Explanation> {
  if (store === undefined) throw new ConfigError('stores', 'at least one', 0)
  const policies = policiesOn(settings, store.store)
  const { method, url: target } = view
  const { caseSensitive = false, skipPaths = [] } = settings.middleware
  const { finding, rule } = found(policies, view, policy)
  const skipPath = skipPaths.find((path) => buildPathSet([path], { caseSensitive }).has(target))
  const known = {
    method,
    target,
    path: normalizePath(target, { caseSensitive }),
    rule: rule.by === 'skipPaths' ? { ...rule, pattern: skipPath } : rule,
    policy: finding,
    // Each policy is warned of by itself, though they have it from one setting.
    warnings: policies.warnings.filter((warning) => finding !== undefined && warning.startsWith(`${finding.where}.`)),
  }
  const nothing = { client: undefined, passage: undefined, error: undefined, notes: [] }
  if (finding === undefined) return { ...known, ...nothing }
  const { gate } = finding
  const client = { ...gate.address.trail(view), address: gate.address.full(view), block: gate.address(view) }
  try {
    const passage = await gate.look(view)
    const isCounted = passage.key !== undefined
    const notes = [
      ...(isCounted && others.length > 0 ? [`asked of the first store, ${store.name}`] : []),
      ...(isCounted && store.kind === 'memory' ? [IN_MEMORY] : []),
    ]
    return { ...known, ...nothing, client, passage, notes }
  } catch (error) {
    return { ...known, ...nothing, client, error: messageOf(error) }
  }
}

const IN_MEMORY =
  "the counters are in the memory of the app's own process, which cannot be reached from here: this is the answer to a first request"

function found(
  { all, byPath }: SettingsPolicies,
  { method, url }: RequestView,
  policy: string | undefined,
): { readonly finding: SettingsPolicy | undefined; readonly rule: Rule } {
  if (policy !== undefined) return { finding: chosen(all, [policy])[0], rule: { by: '--policy', pattern: undefined } }
  const { by, pattern, limiter } = byPath.find(method, url)
  return { finding: limiter, rule: { by, pattern } }
}

function messageOf(error: unknown): string {
  if (error instanceof RateLimitError) return error.message
  return `a function of the settings failed on a stand-in request: ${error instanceof Error ? error.message : 'it threw something'}`
}
