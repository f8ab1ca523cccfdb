// The laws alone, on one state: what the arithmetic costs without a store around it.

import { bucketLaw } from '../src/algorithms/bucket.ts'
import { CHARGE_IF_FITS, type CellLaw } from '../src/algorithms/law.ts'
import { fixedLaw } from '../src/algorithms/window.ts'
import { buildLimitSet } from '../src/core/limit-set.ts'
import { type Contender, markdown, race } from './race.ts'

function contender(law: CellLaw, algorithm: 'token_bucket' | 'fixed_window'): Contender {
  const [limit] = buildLimitSet('bench', '4000000/d', { algorithm }).limits
  const cells = new Float64Array([-1, 0])
  const out = new Float64Array(4)
  let now = 1_700_000_000_000
  return () => law.take(cells, 0, limit, 1, (now += 1), CHARGE_IF_FITS, out, 0)
}

/** Nanoseconds of one take. */
export async function laws(): Promise<string> {
  const results = await race(
    { bucket: contender(bucketLaw, 'token_bucket'), 'fixed window': contender(fixedLaw, 'fixed_window') },
    'bucket',
    { rounds: 9, calls: 1_000_000 },
  )
  return markdown(
    ['law', 'ns a take'],
    results.map(({ name, ns }) => [name, ns.toFixed(1)]),
  )
}
