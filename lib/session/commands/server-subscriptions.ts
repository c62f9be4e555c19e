import { loggable } from '../../input/loggable.ts'
import { ChannelError } from '../../protocol/channel-errors.ts'
import { DISCONNECT, UNSUBSCRIBE } from '../../protocol/disconnect-codes.ts'
import type { Position } from '../../protocol/position.ts'
import { subscribePush } from '../../protocol/replies.ts'
import type { Session } from '../session.ts'
import type { Subscription } from '../subscription.ts'
import { attach, openSubscription } from './attach.ts'

// The client can't ask for joins and leaves here: the application did, when it declared the channel.
const OPTIONS = { joinLeave: true }

/**
 * Makes the subscriptions that a client is connected with. `told` sends the connect reply with their results, before
 * anything of their channels is sent.
 */
export async function subscribeAtConnect(
  session: Session,
  channels: readonly string[],
  positions: ReadonlyMap<string, Position | undefined>,
  told: (results: ReadonlyMap<string, string>) => void
): Promise<void> {
  const wanted = new Set(channels)
  if (wanted.size > session.maxSubscriptions) {
    throw new ChannelError(DISCONNECT.channelLimit.code, DISCONNECT.channelLimit.reason)
  }
  const results = new Map<string, string>()
  let release!: () => void
  const replied = new Promise<void>((resolve) => {
    release = resolve
  })
  const subscriptions = openAll(session, wanted)
  const attached: Promise<void>[] = []
  const ready = subscriptions.map(
    (subscription) =>
      new Promise<void>((resolve, reject) => {
        const { channel } = subscription
        const told = async (result: string) => {
          results.set(channel, result)
          resolve()
          await replied
        }
        const done = attach(session, subscription, positions.get(channel), told, OPTIONS)
        attached.push(done)
        done.then(resolve, reject)
      })
  )
  try {
    await Promise.all(ready)
    if (!session.closed) {
      for (const subscription of subscriptions) subscription.live = true
      told(results)
    }
  } catch (error) {
    for (const subscription of subscriptions) session.drop(subscription, UNSUBSCRIBE.byServer)
    throw error
  } finally {
    release()
    await Promise.allSettled(attached)
  }
}

/** Throws where the application names what it has not declared: that is its own fault, and no client's. */
function openAll(session: Session, channels: Iterable<string>): Subscription[] {
  const opened: Subscription[] = []
  try {
    for (const channel of channels) opened.push(openSubscription(session, channel, true))
    return opened
  } catch (cause) {
    for (const subscription of opened) session.drop(subscription, UNSUBSCRIBE.byServer)
    throw new Error('onConnect names a channel that is not declared', { cause })
  }
}

/** The application subscribes a client that is connected already. */
export async function subscribeByServer(session: Session, channel: string): Promise<void> {
  if (session.subscriptions.has(channel)) return
  const subscription = openSubscription(session, channel, true)
  const told = (result: string) => {
    subscription.live = true
    session.push(subscribePush(channel, result))
  }
  await attach(session, subscription, undefined, told, OPTIONS)
}

/** The same if nobody waits for it: an error is logged. */
export async function subscribeByRequest(session: Session, channel: string): Promise<void> {
  try {
    if (!session.closed) await subscribeByServer(session, channel)
  } catch (error) {
    session.log.failed({ err: loggable(error) }, 'subscription by the server failed')
  }
}
