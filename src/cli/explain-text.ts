// An explanation, for people and for programs. Promise: what came from outside is shown without control characters. Next: explain.ts.

import type { ClientReason } from '../http/address.ts'
import type { Passage } from '../http/gate.ts'
import type { Explanation, Rule } from './explain.ts'
import { answerCell, standingTexts } from './standing-text.ts'
import { type Cell, type Style, columns, printable } from './terminal.ts'

const BECAUSE: Readonly<Record<ClientReason, string>> = {
  framework: 'trustedProxies is not set, so the client is who the framework says; here, who connects',
  peer: 'trustedProxies trusts nobody, so the client is who connects',
  untrusted: 'the first, from the app outwards, that is no trusted proxy',
  counted: 'seen by the outermost of as many proxies as trustedProxies says',
  no_header: 'it names nobody: there is no X-Forwarded-For, and no Forwarded',
  too_few: 'fewer hops than trustedProxies says, so none of them is believed',
  unreadable: 'what comes next is no address, so only who handed it on is certain',
  all_trusted: 'the chain ends with a trusted proxy, which is taken for the client',
  too_long: 'the chain is longer than anyone looks at, so none of it is believed',
}

const UNASKED: Readonly<Record<NonNullable<Passage['by']>, string>> = {
  enabled: 'limits are switched off (enabled)',
  denyList: 'the client is on the denyList',
  allowList: 'the client is on the allowList',
  skipIf: 'skipIf exempts it',
  rate: 'its rate function says that there is no limit',
  onMissingKey: 'it has no key, and onMissingKey says what then',
}

function ruleText({ rule, policy }: Explanation): string {
  const { by, pattern } = rule
  switch (by) {
    case '--policy':
      return `${policy?.where} (--policy)`
    case 'methods':
      return 'none: the middleware does not limit this method (methods)'
    case 'skipPaths':
      return `none: skipPaths has ${pattern}`
    case 'rateLimits':
      return `${pattern} (middleware.rateLimits), the longest that matches${policy === undefined ? ': not limited (null)' : ''}`
    case 'defaultRate':
      return `no path of middleware.rateLimits matches: ${policy === undefined ? 'not limited (defaultRate is null)' : 'middleware.defaultRate'}`
  }
}

/** For people to read. */
export function explainText(explanation: Explanation, style: Style): string[] {
  const { method, target, path, policy, client, passage, error, notes, warnings } = explanation
  const rows: Cell[][] = []
  const row = (name: string, ...cells: Cell[]): void => void rows.push([{ text: name, format: 'bold' }, ...cells])
  row('request', printable(`${method} ${target}`))
  row('path', printable(path))
  row('rule', ruleText(explanation))
  if (policy !== undefined) row('policy', policy.name)
  if (client !== undefined) {
    const { passed, because } = client
    const block = client.block === client.address ? '' : `, counted as ${client.block}`
    row('client', client.address === undefined ? 'none' : `${client.address}${block}: ${BECAUSE[because]}`)
    for (const { text, verdict } of passed)
      rows.push(['', `by way of ${printable(text)}: ${verdict === 'trusted' ? 'a trusted proxy' : 'no address'}`])
  }
  if (passage !== undefined) {
    const { decision, key, by } = passage
    if (key !== undefined) row('key', printable(key))
    for (const [i, text] of standingTexts(decision).entries()) rows.push([i === 0 ? { text: 'limit', format: 'bold' } : '', text])
    row('answer', answerCell(decision))
    if (by !== undefined) rows.push(['', UNASKED[by]])
    if (policy !== undefined && !policy.gate.block && !decision.allowed)
      rows.push(['', 'block is false: the handler runs, and finds the refusal on its request'])
  }
  if (error !== undefined) row('answer', { text: `none: ${error}`, format: 'red' })
  if (policy === undefined) row('answer', { text: 'not limited', format: 'green' })
  for (const note of notes) rows.push(['', note])
  return [...columns(rows, style), ...warnings.map((warning) => style('yellow', `warning: ${warning}`))]
}

/** For programs to read. */
export function explainJson({ rule, policy, client, passage, error, ...rest }: Explanation): object {
  const { method, target, path, notes, warnings } = rest
  return {
    method,
    target,
    path,
    rule: ruleJson(rule),
    policy: policy?.name ?? null,
    where: policy?.where ?? null,
    client:
      client === undefined
        ? null
        : {
            address: client.address ?? null,
            counted_as: client.block ?? null,
            because: client.because,
            passed: client.passed,
          },
    key: passage?.key ?? null,
    decided_by: passage?.by ?? null,
    block: policy?.gate.block ?? null,
    decision: passage?.decision.toJSON() ?? null,
    error: error ?? null,
    notes,
    warnings,
  }
}

function ruleJson({ by, pattern }: Rule): object {
  return { by, pattern: pattern ?? null }
}
