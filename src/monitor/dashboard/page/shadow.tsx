// What limits that are only tried out would have done, beside what happened. Next: offenders.tsx.

import type { DashboardData } from '../data.ts'
import { Card, Nothing } from './card.tsx'
import { percent, whole } from './format.ts'
import { Offenders } from './offenders.tsx'
import { Share } from './spark.tsx'

export function Shadow({ data, now }: { readonly data: DashboardData; readonly now: number }) {
  const policies = data.policies.rows.filter(({ shadow }) => shadow)
  return (
    <Card id="shadow" title="Limits on trial" count={policies.length} csv="would-be-offenders">
      {policies.length === 0 ? (
        <Nothing>
          A limiter with <code>shadow: true</code> refuses nothing, and shows here what it would refuse.
        </Nothing>
      ) : (
        <>
          <ul class="trials">
            {policies.map(({ name, limits, totals: { granted, would_refuse: would } }) => (
              <li key={name}>
                <div class="line">
                  <b>{name}</b>
                  <span class="muted">{limits.map(({ rate, algorithm }) => `${rate} ${algorithm}`).join(', ')}</span>
                </div>
                <Share part={would} all={granted + would} kind="would" />
                <p>
                  would have refused <b>{whole(would)}</b> of {whole(granted + would)} requests, {percent(would, granted + would)}
                </p>
              </li>
            ))}
          </ul>
          <h3>Whom it would have refused</h3>
          <Offenders
            offenders={data.wouldBeOffenders}
            now={now}
            caption="Keys that limits on trial would refuse most"
            kind="would"
          />
        </>
      )}
    </Card>
  )
}
