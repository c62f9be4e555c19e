import type { Insight } from '../node/insight.ts'
import type { ChannelDepth } from './messages.ts'

/** A page asks about at most this number of channels at a time. */
const MAX_CHANNELS = 100
// Calls of the broker at a time.
const CONCURRENCY = 8

/** The channels that a page asks about. Undefined if the value is no list of their names. */
export function parseNames(value: unknown): readonly string[] | undefined {
  const isList = Array.isArray(value) && value.length <= MAX_CHANNELS && value.every((name) => typeof name === 'string')
  return isList ? value : undefined
}

/**
 * Asks the broker how far channels are, and how much history they have. The answer leaves out channels without history.
 */
export async function readDepths(
  { node, historyOf }: Insight,
  names: readonly string[]
): Promise<Record<string, ChannelDepth>> {
  const waiting = names.filter((name) => historyOf(name) !== undefined)
  const found = new Map<string, ChannelDepth>()
  const work = async () => {
    for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
      const { position, size = 0 } = await node.broker.history(name, { limit: 0 })
      found.set(name, { offset: position.offset, epoch: position.epoch, size })
    }
  }
  await Promise.all(Array.from({ length: CONCURRENCY }, work))
  return Object.fromEntries(found)
}
