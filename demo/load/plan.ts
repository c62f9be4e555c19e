import type { LoadOptions } from './command/options.ts'

// Real connections rarely publish more often than this. Our servers allow 100 a second.
const RATE_PER_PUBLISHER = 20

type Shape = Pick<LoadOptions, 'connections' | 'subscriptions' | 'slowReaders' | 'rate' | 'publishers' | 'target'>

/** The channels or rooms of a connection, by their numbers. On an echo route each connection is one of its own. */
export function groupsOf(
  { target, subscriptions }: Pick<LoadOptions, 'target' | 'subscriptions'>,
  at: number
): number[] {
  if (target.protocol === 'echo') return [at]
  return Array.from({ length: subscriptions }, (_, which) => (at * subscriptions + which) % target.groups)
}

/** The last connections are the slow ones. The first connections of each channel publish, so they are not slow. */
export function isSlow({ connections, slowReaders }: Shape, at: number): boolean {
  return at >= connections - slowReaders
}

/** How many connections of a group publish, of this many. */
export function publishersOf({ target, rate, publishers }: Shape, able: number): number {
  if (target.protocol === 'echo') return 1
  return Math.min(able, publishers ?? Math.max(1, Math.ceil(rate / target.groups / RATE_PER_PUBLISHER)))
}

/** In the order of sending: the first of each group, then the second of each, so that all groups have equal shares. */
export function interleave<T>(groups: readonly (readonly T[])[]): T[] {
  const longest = groups.reduce((most, { length }) => Math.max(most, length), 0)
  return Array.from({ length: longest }, (_, round) => groups.flatMap((group) => group.slice(round, round + 1))).flat()
}
