import type { Rate } from '../options/options.ts'
import type { TimerWheel } from '../timing/timer-wheel.ts'
import type { ConnectionObserver } from './connection.ts'
import type { Turn } from './turn.ts'

/** What all connections of one registration share, whatever their transport. */
export interface ConnectionContext {
  readonly wheel: TimerWheel
  readonly turn: Turn
  readonly random: () => number
  readonly observer: ConnectionObserver
  /** Takes one of a user's tokens. Returns 0, or the milliseconds until there may be one. */
  userRate(user: string, rate: Rate): number
}
