import type { Connection, Transport } from '../connection/connection.ts'
import type { ConnectionStats } from '../connection/statistics.ts'
import type { Hub } from '../hub/hub.ts'

/** One open connection. */
export interface ConnectionInfo {
  readonly id: string
  readonly user: string | undefined
  /** The route's pattern. */
  readonly route: string
  readonly transport: Transport
  /** Milliseconds. Undefined before the first pong. */
  readonly roundTripTime: number | undefined
  readonly bufferedAmount: number
  readonly subscriptions: readonly string[]
  readonly stats: ConnectionStats
}

const TRANSPORTS: readonly Transport[] = ['websocket', 'http_stream', 'sse']
const STATS = ['messagesIn', 'messagesOut', 'bytesIn', 'bytesOut', 'dropped', 'rejected', 'queued', 'age']

export function connectionInfo(socket: Connection, hub: Hub): ConnectionInfo {
  return {
    id: socket.id,
    user: socket.user?.sub,
    route: socket.settings.route,
    transport: socket.settings.transport,
    roundTripTime: socket.roundTripTime,
    bufferedAmount: socket.bufferedAmount,
    subscriptions: socket.session?.channels ?? hub.channelsOf(socket),
    stats: socket.stats
  }
}

/**
 * Reads the parsed JSON with which another node describes a connection. An older node leaves out the transport.
 * Returns undefined if it has another form.
 */
export function readConnectionInfo(value: unknown): ConnectionInfo | undefined {
  const {
    id,
    user,
    route,
    transport = 'websocket',
    roundTripTime,
    bufferedAmount,
    subscriptions,
    stats
  } = membersOf(value)
  const counts = membersOf(stats)
  const isInfo =
    typeof id === 'string' &&
    (user === undefined || typeof user === 'string') &&
    typeof route === 'string' &&
    isTransport(transport) &&
    (roundTripTime === undefined || typeof roundTripTime === 'number') &&
    typeof bufferedAmount === 'number' &&
    Array.isArray(subscriptions) &&
    subscriptions.every((name) => typeof name === 'string') &&
    STATS.every((name) => typeof counts[name] === 'number')
  if (!isInfo) return undefined
  const read = Object.fromEntries(STATS.map((name) => [name, counts[name]]))
  return {
    id,
    user,
    route,
    transport,
    roundTripTime,
    bufferedAmount,
    subscriptions,
    stats: read as unknown as ConnectionStats
  }
}

function isTransport(value: unknown): value is Transport {
  return TRANSPORTS.includes(value as Transport)
}

function membersOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}
