// The same events for everybody in the process, by name: Node's diagnostics channels. Promise: nothing is made for a channel nobody
// listens to; on runtimes without them nobody ever does. Next: watching.ts, which publishes.

import type { Decision } from './decision.ts'
import type { BanEvent, DecisionContext, StoreEvent, UnbanEvent } from './observer.ts'

/** What subscribers of `decision`, `refused` and `would-block` get. */
export interface DecisionMessage {
  readonly decision: Decision
  readonly key: string | undefined
  readonly context: DecisionContext
}

/** What subscribers of `error` get. */
export interface ErrorMessage {
  readonly error: unknown
  readonly where: string
}

/** What subscribers of `warning` get. */
export interface WarningMessage {
  readonly message: string
}

interface Channel<Message> {
  readonly hasSubscribers: boolean
  publish(message: Message): void
}

interface ChannelsModule {
  channel(name: string): Channel<unknown>
}

const { getBuiltinModule } = (typeof process === 'object' ? process : {}) as {
  getBuiltinModule?: (name: string) => ChannelsModule | undefined
}
const channelsModule = getBuiltinModule?.('node:diagnostics_channel')

function channel<Message>(name: string): Channel<Message> {
  return channelsModule?.channel(`smart-ratelimit:${name}`) ?? { hasSubscribers: false, publish: () => {} }
}

export const decisions = channel<DecisionMessage>('decision')
export const refusals = channel<DecisionMessage>('refused')
export const wouldBlocks = channel<DecisionMessage>('would-block')
export const bans = channel<BanEvent>('ban')
export const unbans = channel<UnbanEvent>('unban')
export const stores = channel<StoreEvent>('store')
export const errors = channel<ErrorMessage>('error')
export const warnings = channel<WarningMessage>('warning')
