/*
 * The rows of the tables, as nodes send them: arrays without names, since there are many. The node and the page use the
 * same functions.
 */

/** A node sends at most this number of rows for a query. */
export const MAX_ROWS = 100

/** A connection of a node. */
export interface ConnectionRow {
  readonly id: string
  readonly user: string | null
  readonly route: string
  /** Milliseconds. */
  readonly age: number
  readonly received: number
  readonly sent: number
  readonly bytes: number
  /** Bytes that wait to be read. */
  readonly buffered: number
  /** Milliseconds; null before the first answered ping. */
  readonly roundTrip: number | null
  /** How many channels the connection is subscribed to. */
  readonly subscriptions: number
  /** The names of the first of them. */
  readonly channels: readonly string[]
}

/** A channel on one node. */
export interface ChannelRow {
  readonly name: string
  readonly subscribers: number
  /** Publications per second that reached the node; null if they are not counted yet. */
  readonly rate: number | null
  /** The node's position in the history. */
  readonly offset: number
  /** Empty if the channel has no history. */
  readonly epoch: string
}

export type Packed = readonly unknown[]

export function packConnection(row: ConnectionRow): Packed {
  const { id, user, route, age, received, sent, bytes, buffered, roundTrip, subscriptions, channels } = row
  return [id, user, route, age, received, sent, bytes, buffered, roundTrip, subscriptions, channels]
}

export function unpackConnection(cells: Packed): ConnectionRow {
  const [id, user, route, age, received, sent, bytes, buffered, roundTrip, subscriptions, channels] = cells
  const row = { id, user, route, age, received, sent, bytes, buffered, roundTrip, subscriptions, channels }
  return row as ConnectionRow
}

export function packChannel({ name, subscribers, rate, offset, epoch }: ChannelRow): Packed {
  return [name, subscribers, rate, offset, epoch]
}

export function unpackChannel([name, subscribers, rate, offset, epoch]: Packed): ChannelRow {
  return { name, subscribers, rate, offset, epoch } as ChannelRow
}

/** Compares two texts, or two numbers. */
export function compareValues(a: string | number, b: string | number): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
