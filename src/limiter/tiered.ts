// Rates by tier: a table from a tier's name to its rate. Next: limiter.ts, whose `rate` option takes the function.

import { ConfigError } from '../core/errors.ts'
import { type RateInput, buildLimitSet } from '../core/limit-set.ts'
import { type MaybePromise, andThen } from '../core/maybe.ts'
import { checkNames } from '../core/check-names.ts'

/** How a tier is found. */
export interface TieredOptions<Subject, Tier extends MaybePromise<string | null | undefined>> {
  /** The subject's tier; null or undefined: none. */
  readonly by: (subject: Subject) => Tier
  /** The tier of subjects that have none (default: `*`, if the table has it). */
  readonly default?: string
}

/**
 * Makes a `rate` function from a table: `tiered({ free: '100/h', pro: '10000/h', '*': '20/h' }, { by: (req) => req.user?.plan })`.
 * `'*'` serves every tier that is not in the table; a tier whose rate is null is not limited.
 * An async `by` gives an async function, which the adapters take and `createLimiter` does not.
 * @throws ConfigError for a rate outside the grammar, a default that is not in the table, or an empty table
 */
export function tiered<Subject, Tier extends MaybePromise<string | null | undefined>>(
  rates: Readonly<Record<string, RateInput | null>>,
  options: TieredOptions<Subject, Tier>,
): (subject: Subject) => Tier extends PromiseLike<unknown> ? Promise<RateInput | null> : RateInput | null {
  if (typeof rates !== 'object' || rates === null || Array.isArray(rates))
    throw new ConfigError('tiered(rates)', 'a table of rates', rates)
  const table = new Map(Object.entries(rates))
  if (table.size === 0) throw new ConfigError('tiered(rates)', 'at least one tier', rates)
  for (const [tier, rate] of table) if (rate !== null) buildLimitSet('tiered', rate, {}, `tiered[${JSON.stringify(tier)}]`)
  checkNames(options, ['by', 'default'], 'tiered(options)')
  if (typeof options.by !== 'function') throw new ConfigError('tiered.by', 'a function of the request', options.by)
  if (options.default !== undefined && !table.has(options.default)) {
    throw new ConfigError('tiered.default', `one of ${[...table.keys()].join(', ')}`, options.default)
  }
  const rest = table.get('*')
  const none = options.default === undefined ? rest : table.get(options.default)
  const rateOf = (tier: string | null | undefined): RateInput | null => {
    const rate = tier === null || tier === undefined ? none : table.has(tier) ? table.get(tier) : rest
    // A tier nobody foresaw must not mean "no limit".
    if (rate === undefined)
      throw new ConfigError('tiered', `a tier among ${[...table.keys()].join(', ')}, or a rate for "*"`, tier)
    return rate
  }
  return (subject) => andThen<string | null | undefined, RateInput | null>(options.by(subject), rateOf) as never
}
