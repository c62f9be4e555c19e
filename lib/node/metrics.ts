import type { Counter, Gauge, Histogram, Registry as PromRegistry } from 'prom-client'
import type { Connection, ConnectionObserver } from '../connection/connection.ts'
import type { Registry } from '../connection/registry.ts'
import { CLOSE } from '../protocol/close-codes.ts'
import { DISCONNECT } from '../protocol/disconnect-codes.ts'
import { BucketCounts } from './bucket-counts.ts'
import type { NodeFigures } from './figures.ts'

type PromClient = typeof import('prom-client')

/** The values that the metrics read when they are collected. */
export interface MetricSources {
  readonly registry: Registry
  channels(): number
  brokerUp(): boolean
  /** The parts of the broker, each with true if it is available. */
  shards(): ReadonlyMap<string, boolean>
  /** Reports an error of prom-client or of reading a value. It must not affect a connection or the other values. */
  failed(error: unknown): void
  /** The progress of the drain, or its result. */
  drain(): { readonly draining: boolean; readonly closed: number; readonly terminated: number }
}

/** What tells the endpoints of connections apart. */
interface EndpointLabels extends Record<string, string> {
  readonly route: string
  readonly transport: string
}

const ENDPOINT_LABELS = ['route', 'transport']
const KNOWN_CODES = new Set<number>([...Object.values(CLOSE), ...Object.values(DISCONNECT)].map(({ code }) => code))
const LIFETIMES = [1, 10, 60, 300, 1_800, 7_200, 28_800, 86_400]
const ROUND_TRIPS = [0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/**
 * Counts events. Events only change plain numbers, which are read when the registry is collected. Labels are route
 * patterns, reasons and close codes, never a user or a channel. So a client cannot create new time series.
 */
export class Metrics implements Omit<ConnectionObserver, 'identified'> {
  readonly #sources: MetricSources
  readonly #opened = new Map<string, { readonly labels: EndpointLabels; count: number }>()
  readonly #refused = new Map<string, number>()
  readonly #rejected = new Map<string, number>()
  readonly #closes = new Map<string, number>()
  readonly #repairs = new Map<string, number>()
  readonly #recoveries = new Map<string, number>()
  readonly #unreadable = new Map<string, number>()
  #messagesIn = 0
  #bytesIn = 0
  #heartbeatTimeouts = 0
  /** The totals of closed connections. Open connections have their own in `stats`. */
  #messagesOut = 0
  #bytesOut = 0
  #dropped = 0
  #deltaSaved = 0
  readonly #lags = new BucketCounts(ROUND_TRIPS)
  readonly #roundTrips = new BucketCounts(ROUND_TRIPS)
  #lifetime: Histogram | undefined
  #roundTrip: Histogram | undefined
  #lag: Histogram | undefined

  constructor(sources: MetricSources) {
    this.#sources = sources
  }

  opened({ settings }: Connection): void {
    const { route, transport } = settings
    const key = `${transport} ${route}`
    const opened = this.#opened.get(key) ?? { labels: { route, transport }, count: 0 }
    opened.count++
    this.#opened.set(key, opened)
  }

  closed(socket: Connection, code: number): void {
    const { messagesOut, bytesOut, dropped, age } = socket.stats
    this.#messagesOut += messagesOut
    this.#bytesOut += bytesOut
    this.#dropped += dropped
    add(this.#closes, codeLabel(code))
    this.#guard(() => this.#lifetime?.observe(labelsOf(socket), age / 1000))
  }

  received(bytes: number): void {
    this.#messagesIn++
    this.#bytesIn += bytes
  }

  rejected(reason: string): void {
    add(this.#rejected, reason)
  }

  roundTrip(milliseconds: number): void {
    this.#roundTrips.observe(milliseconds / 1000)
    this.#guard(() => this.#roundTrip?.observe(milliseconds / 1000))
  }

  heartbeatTimeout(): void {
    this.#heartbeatTimeouts++
  }

  refused(reason: string): void {
    add(this.#refused, reason)
  }

  repaired(complete: boolean): void {
    add(this.#repairs, complete ? 'complete' : 'hole')
  }

  recovered(complete: boolean): void {
    add(this.#recoveries, complete ? 'recovered' : 'not_recovered')
  }

  /** Counts a message on a channel of Redis, or a request of another node, that could not be read. */
  unreadable(kind: 'message' | 'request'): void {
    add(this.#unreadable, kind)
  }

  deltasSaved(bytes: number): void {
    this.#deltaSaved += bytes
  }

  /** @param lag Milliseconds from a publication to its delivery. */
  delivered(lag: number): void {
    this.#lags.observe(lag / 1000)
    this.#guard(() => this.#lag?.observe(lag / 1000))
  }

  /**
   * The figures without prom-client. Visits each connection once.
   * @param visit Called for each connection, with the bytes that wait for it.
   */
  figures(visit: (connection: Connection, buffered: number) => void): NodeFigures {
    const { registry, channels, brokerUp, shards, drain } = this.#sources
    const connections = new Map<string, number>()
    let [buffered, sent, sentBytes, dropped] = [0, this.#messagesOut, this.#bytesOut, this.#dropped]
    for (const connection of registry) {
      const { stats, bufferedAmount, settings } = connection
      connections.set(settings.route, (connections.get(settings.route) ?? 0) + 1)
      buffered += bufferedAmount
      sent += stats.messagesOut
      sentBytes += stats.bytesOut
      dropped += stats.dropped
      visit(connection, bufferedAmount)
    }
    const { draining, closed, terminated } = drain()
    return {
      connections: Object.fromEntries(connections),
      channels: channels(),
      buffered,
      brokerUp: brokerUp(),
      shards: Object.fromEntries(shards()),
      draining,
      drained: { closed, terminated },
      received: this.#messagesIn,
      receivedBytes: this.#bytesIn,
      sent,
      sentBytes,
      dropped,
      heartbeatTimeouts: this.#heartbeatTimeouts,
      refused: Object.fromEntries(this.#refused),
      rejected: Object.fromEntries(this.#rejected),
      closes: Object.fromEntries(this.#closes),
      repairs: Object.fromEntries(this.#repairs),
      recoveries: Object.fromEntries(this.#recoveries),
      lag: this.#lags.buckets,
      roundTrip: this.#roundTrips.buckets
    }
  }

  /** Registers the metrics. Returns a function that removes them, so that another application can use the registry. */
  export(prom: PromClient, registry: PromRegistry): () => void {
    const registers = [registry]
    const guard = this.#guard.bind(this)
    const existing = new Set(registry.getMetricsAsArray().map(({ name }) => name))
    const { registry: sockets, channels, brokerUp, shards, drain } = this.#sources
    const counter = (name: string, help: string, label: string | undefined, read: () => Iterable<[string, number]>) =>
      new prom.Counter({
        name: `realtime_${name}_total`,
        help,
        registers,
        labelNames: label === undefined ? [] : [label],
        collect(this: Counter) {
          guard(() => {
            this.reset()
            for (const [value, count] of read()) this.inc(label === undefined ? {} : { [label]: value }, count)
          })
        }
      })
    const gauge = (name: string, help: string, read: () => number) =>
      new prom.Gauge({
        name: `realtime_${name}`,
        help,
        registers,
        collect(this: Gauge) {
          guard(() => this.set(read()))
        }
      })
    new prom.Gauge({
      name: 'realtime_connections',
      help: 'Open connections',
      registers,
      labelNames: ENDPOINT_LABELS,
      collect(this: Gauge) {
        guard(() => {
          this.reset()
          for (const socket of sockets) this.inc(labelsOf(socket))
        })
      }
    })
    const allOpened = this.#opened
    new prom.Counter({
      name: 'realtime_connections_opened_total',
      help: 'Connections opened',
      registers,
      labelNames: ENDPOINT_LABELS,
      collect(this: Counter) {
        guard(() => {
          this.reset()
          for (const { labels, count } of allOpened.values()) this.inc(labels, count)
        })
      }
    })
    counter('handshakes_refused', 'Handshakes refused', 'reason', () => this.#refused)
    counter('messages_received', 'Messages received', undefined, () => [['', this.#messagesIn]])
    counter('received_bytes', 'Payload bytes received', undefined, () => [['', this.#bytesIn]])
    counter('messages_sent', 'Messages sent', undefined, () => [['', this.#sum('messagesOut', this.#messagesOut)]])
    counter('sent_bytes', 'Bytes of frames sent', undefined, () => [['', this.#sum('bytesOut', this.#bytesOut)]])
    counter('publications_dropped', 'Publications dropped for slow readers', undefined, () => [
      ['', this.#sum('dropped', this.#dropped)]
    ])
    counter('delta_saved_bytes', 'Bytes of frames that deltas have saved', undefined, () => [['', this.#deltaSaved]])
    counter('messages_rejected', 'Messages refused', 'reason', () => this.#rejected)
    counter('heartbeat_timeouts', 'Connections that no longer answered pings', undefined, () => [
      ['', this.#heartbeatTimeouts]
    ])
    counter('closes', 'Connections closed', 'code', () => this.#closes)
    counter('position_repairs', 'Gaps found in channels with history', 'outcome', () => this.#repairs)
    counter('recoveries', 'Subscriptions that gave a position', 'outcome', () => this.#recoveries)
    counter('node_messages_dropped', 'Messages between nodes that could not be read', 'kind', () => this.#unreadable)
    counter('drain_connections', 'Connections that the drain closed or cut', 'how', () => [
      ['closed', drain().closed],
      ['terminated', drain().terminated]
    ])
    gauge('buffered_bytes', 'Bytes that wait for slow readers', () => {
      let bytes = 0
      for (const { bufferedAmount } of sockets) bytes += bufferedAmount
      return bytes
    })
    gauge('channels', 'Channels that this node is subscribed to', channels)
    gauge('broker_up', '1 while the broker can be used', () => Number(brokerUp()))
    new prom.Gauge({
      name: 'realtime_broker_shard_up',
      help: '1 while the master of a Redis Cluster can be used',
      registers,
      labelNames: ['shard'],
      collect(this: Gauge) {
        guard(() => {
          this.reset()
          for (const [shard, up] of shards()) this.set({ shard }, Number(up))
        })
      }
    })
    gauge('draining', '1 from the start of the drain on', () => Number(drain().draining))
    this.#lifetime = new prom.Histogram({
      name: 'realtime_connection_lifetime_seconds',
      help: 'From open to close',
      registers,
      labelNames: ENDPOINT_LABELS,
      buckets: LIFETIMES
    })
    this.#lag = new prom.Histogram({
      name: 'realtime_delivery_lag_seconds',
      help: "Time from a publication, by the publisher's clock, until it is written to sockets",
      registers,
      buckets: ROUND_TRIPS
    })
    this.#roundTrip = new prom.Histogram({
      name: 'realtime_round_trip_seconds',
      help: 'From ping to pong',
      registers,
      buckets: ROUND_TRIPS
    })
    const ours = registry.getMetricsAsArray().filter(({ name }) => !existing.has(name))
    return () => {
      for (const { name } of ours) registry.removeSingleMetric(name)
    }
  }

  #guard(action: () => void): void {
    try {
      action()
    } catch (error) {
      this.#sources.failed(error)
    }
  }

  #sum(figure: 'messagesOut' | 'bytesOut' | 'dropped', closed: number): number {
    let sum = closed
    for (const { stats } of this.#sources.registry) sum += stats[figure]
    return sum
  }
}

function labelsOf({ settings: { route, transport } }: Connection): EndpointLabels {
  return { route, transport }
}

function add(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}

/** A peer may close with any of 2,000 codes from 3000 on. Codes that this package does not use share a label. */
function codeLabel(code: number): string {
  if (KNOWN_CODES.has(code) || (code >= 1000 && code < 1016)) return String(code)
  return code >= 4000 ? '4xxx' : '3xxx'
}
