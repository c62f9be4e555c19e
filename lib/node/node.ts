import type { Duplex } from 'node:stream'
import type { Broker, BrokerListener, HistoryPolicy } from '../broker/broker.ts'
import type { Connection, ConnectionObserver, ConnectionSettings } from '../connection/connection.ts'
import { Registry } from '../connection/registry.ts'
import { Turn } from '../connection/turn.ts'
import { Dismissals } from '../handshake/dismissals.ts'
import { Hub } from '../hub/hub.ts'
import { PresenceKeeper } from '../hub/presence-keeper.ts'
import type { Log } from '../input/guarded-log.ts'
import type { LogConnections, ResolvedOptions } from '../options/options.ts'
import { CLOSE } from '../protocol/close-codes.ts'
import type { DeclaredChannel } from '../session/definition.ts'
import type { SocketContext } from '../socket/context.ts'
import { SocketStreams } from '../socket/socket-streams.ts'
import { Limiter } from '../timing/limiter.ts'
import { OncePer, OncePerName } from '../timing/once-per.ts'
import { refClock, systemClock, TimerWheel } from '../timing/timer-wheel.ts'
import { CONTROL_CHANNEL, Control } from './control.ts'
import { Drainer } from './drain.ts'
import { logEnd } from './end-log.ts'
import { Metrics } from './metrics.ts'
import { Realtime } from './realtime.ts'
import { isInbox, Roster } from './roster.ts'
import { StrayNames } from './stray-names.ts'
import { UserRates } from './user-rates.ts'

// Deadlines are met this many milliseconds late at most.
const RESOLUTION = 50
// Questions to the broker at a time on behalf of those who subscribe. With more the broker would not be quicker.
const SUBSCRIBING_AT_ONCE = 256
// What fails for a broker that is away, or that went while it was asked.
const AWAY = new Set<string | undefined>(['FST_RT_UNAVAILABLE', 'FST_RT_UNKNOWN_OUTCOME'])
// Channels whose history is a node's own affair: a line an hour for each of so many.
const POLICY_LOG = { interval: 3_600_000, channels: 1_000 }
// For lines about what can come as often as messages do.
const LOG_INTERVAL = 60_000
// What a handshake, or a `connect`, may take besides the time of the application's hooks: the broker's.
const BROKER_TIME = 30_000
const { random } = Math

/** What the application has declared, by a channel's name. */
export interface DeclaredChannels {
  readonly patterns: readonly string[]
  find(channel: string): DeclaredChannel | undefined
  historyOf(channel: string): HistoryPolicy | undefined
}

/** What a node is made of, besides what it makes by itself. */
export interface NodeParts {
  readonly broker: Broker
  readonly log: Log
  readonly channels: DeclaredChannels
  /** The settings of the connection on a stream, as its handshake left them. */
  settingsOf(stream: Duplex): ConnectionSettings
}

/** One process: its connections, its channels, and what they share. */
export class Node implements ConnectionObserver {
  readonly #log: Log
  readonly #logConnections: LogConnections
  readonly wheel = new TimerWheel(systemClock, RESOLUTION, (error) => this.#failed('deadline', error))
  readonly broker: Broker
  readonly registry = new Registry()
  readonly presence: PresenceKeeper
  readonly dismissals: Dismissals
  readonly hub: Hub
  readonly control: Control
  readonly roster: Roster
  readonly metrics: Metrics
  readonly drainer: Drainer
  readonly context: SocketContext
  readonly realtime: Realtime
  readonly #unread = new OncePer(LOG_INTERVAL)
  readonly #policies = new OncePerName(POLICY_LOG.interval, POLICY_LOG.channels)
  readonly #failures = new Map<string, OncePer>()
  readonly #refusals = new OncePer(LOG_INTERVAL)
  readonly #firstFailure: Promise<void>
  #failedFirst!: () => void
  #wasAway = false
  #wasDeaf = false

  constructor(options: ResolvedOptions, { broker, log, channels, settingsOf }: NodeParts) {
    const { redis, drain, limits, logConnections } = options
    const { wheel, registry } = this
    const turn = new Turn((error) => this.#failed('end of turn', error))
    const limiter = new Limiter(SUBSCRIBING_AT_ONCE)
    const failed = (stage: string, err: unknown) => {
      // That the broker is away is said once; that everything then fails goes without saying.
      if (!AWAY.has((err as { code?: string }).code)) log.warn({ err, stage }, 'broker failed')
    }
    this.#log = log
    this.#logConnections = logConnections
    this.#firstFailure = new Promise((resolve) => {
      this.#failedFirst = resolve
    })
    const historyOf = (channel: string) => channels.historyOf(channel)
    const metrics = new Metrics({
      registry,
      channels: () => hub.channels,
      brokerUp: () => broker.up,
      shards: () => broker.shards,
      failed: (error) => this.#failed('metrics', error),
      drain: () => this.drainer
    })
    this.metrics = metrics
    const stray = new StrayNames({
      patterns: () => channels.patterns,
      now: () => wheel.now(),
      report: (channel, pattern) => log.warn({ channel, pattern }, 'published to no declared channel')
    })
    const hub = new Hub({
      broker,
      turn,
      wheel,
      limiter,
      maxPublication: limits.publication,
      outboxOf: (connection) => registry.get(connection)?.outbox,
      historyOf,
      unheard: (channel) => {
        if (channels.find(channel) === undefined) stray.note(channel)
      },
      failed,
      repaired: metrics.repaired.bind(metrics),
      delivered: metrics.delivered.bind(metrics),
      recovered: metrics.recovered.bind(metrics),
      unpositioned: (channel) => this.#unpositioned(channel)
    })
    const userRates = new UserRates({ broker, wheel, failed })
    this.broker = broker
    this.hub = hub
    this.presence = new PresenceKeeper({ broker, wheel, limiter, failed })
    const dismissals = new Dismissals(() => wheel.now(), handshakeTime(options))
    this.dismissals = dismissals
    const dropped = () => this.#dropped('request')
    this.control = new Control({
      broker,
      hub,
      registry,
      wheel,
      failed,
      handshakes: dismissals,
      dropped,
      obeys: (error) => this.#obeys(error),
      missed: (since) => log.warn({ since }, 'requests of other nodes may be missing')
    })
    this.context = {
      wheel,
      turn,
      random,
      streams: new SocketStreams({
        hub,
        presence: this.presence,
        findChannel: (name) => channels.find(name)?.definition
      }),
      observer: this,
      userRate: userRates.take.bind(userRates),
      settingsOf
    }
    this.drainer = new Drainer({
      registry,
      clock: refClock,
      random,
      log,
      drain
    })
    const { control, drainer, presence } = this
    const alone = redis === undefined
    const roster = new Roster({ broker, hub, registry, presence, wheel, alone, failed, dropped })
    this.roster = roster
    this.realtime = new Realtime({ broker, hub, registry, drainer, control, roster })
  }

  /**
   * Starts the broker. One that is away doesn't hold up the application, which is not ready until it comes; one that
   * can never be used (credentials, permissions) rejects.
   */
  async start(): Promise<void> {
    const started = this.broker.start(this.#listener())
    started.catch((err) => {
      // A start that the application's own end cut short is no failure.
      if (this.#wasAway && !this.drainer.draining) this.#log.error({ err }, 'broker cannot be used')
    })
    // Ready from the start on, if it can be.
    const ready = async () => {
      await started
      await Promise.all([this.control.reading, this.roster.join()])
    }
    await Promise.race([ready(), this.#firstFailure])
  }

  /** Redis turned this node away after the start, by its configuration. */
  refused(err: Error): void {
    if (this.#refusals.count(this.wheel.now()) > 0) this.#log.error({ err }, 'broker refuses this node')
  }

  opened(socket: Connection): void {
    this.registry.add(socket)
    this.metrics.opened(socket)
  }

  identified(socket: Connection): void {
    this.registry.identify(socket)
  }

  closed(socket: Connection, code: number, isAnswered: boolean): void {
    this.drainer.ended(socket, isAnswered)
    this.registry.delete(socket)
    this.metrics.closed(socket, code)
    if (this.#logConnections !== false) logEnd(socket, code, this.#logConnections)
  }

  /** Closes a connection whose user has too many. False if it is not open. */
  evict(connection: string): boolean {
    const [socket] = this.registry.find({ connection })
    socket?.closeWith(CLOSE.tooManyConnections)
    return socket !== undefined
  }

  received(bytes: number): void {
    this.metrics.received(bytes)
  }

  rejected(reason: string): void {
    this.metrics.rejected(reason)
  }

  roundTrip(milliseconds: number): void {
    this.metrics.roundTrip(milliseconds)
  }

  heartbeatTimeout(): void {
    this.metrics.heartbeatTimeout()
  }

  #listener(): BrokerListener {
    const { control, hub, roster } = this
    // The broker calls these from its connection's callbacks, where an error would end the process.
    const guarded =
      <Args extends unknown[]>(listener: (...args: Args) => void) =>
      (...args: Args) => {
        try {
          listener(...args)
        } catch (error) {
          this.#failed('broker listener', error)
        }
      }
    return {
      publication: guarded((channel, publication) => {
        if (channel === CONTROL_CHANNEL) control.receive(publication)
        else if (isInbox(channel)) roster.receive(publication)
        else hub.receive(channel, publication)
      }),
      presence: guarded((channel, kind, info) => hub.receivePresence(channel, kind, info)),
      dropped: guarded((channel) => this.#dropped('message', channel)),
      audit: guarded((channels) => {
        void control.audit()
        hub.audit(channels)
      }),
      shard: guarded((shard, up, cause) => this.#shardIs(shard, up, cause)),
      state: guarded((up, cause) => this.#brokerIs(up, cause))
    }
  }

  /** An error of this package, or of what it stands on, that must not reach others than it concerns. */
  #failed(stage: string, err: unknown): void {
    const often = this.#failures.get(stage) ?? new OncePer(LOG_INTERVAL)
    this.#failures.set(stage, often)
    const times = often.count(this.wheel.now())
    if (times > 0) this.#log.error({ err, stage, times }, 'unexpected failure')
  }

  #dropped(kind: 'message' | 'request', channel?: string): void {
    this.metrics.unread(kind)
    const times = this.#unread.count(this.wheel.now())
    if (times > 0) this.#log.warn({ kind, channel, times }, 'message between nodes dropped')
  }

  #unpositioned(channel: string): void {
    if (!this.#policies.isDue(channel, this.wheel.now())) return
    this.#log.warn({ channel }, 'publication without a position on a channel with history')
  }

  #shardIs(shard: string, up: boolean, err: Error | undefined): void {
    if (up) this.#log.warn({ shard }, 'broker shard is back')
    else this.#log.warn({ shard, err }, 'broker shard is away')
    // It may be the one that carries the requests of other nodes.
    void this.control.audit()
  }

  #brokerIs(up: boolean, err: Error | undefined): void {
    if (!up) this.#log.warn({ err }, 'broker is away')
    else if (this.#wasAway) this.#log.warn({}, 'broker is back')
    this.#wasAway = !up
    if (up) {
      void this.control.audit()
      void this.roster.join()
    } else {
      this.control.lost()
      this.#failedFirst()
    }
  }

  #obeys(err: unknown): void {
    const isDeaf = err !== undefined
    if (isDeaf) this.#log.warn({ err }, 'requests of other nodes cannot be read')
    else if (this.#wasDeaf) this.#log.warn({}, 'requests of other nodes can be read')
    this.#wasDeaf = isDeaf
  }
}

/** Milliseconds from when a handshake, or the verification of a later token, begins until its connection is known. */
function handshakeTime({ limits, channels }: ResolvedOptions): number {
  return Math.max(limits.upgradeTimeout, channels.hookTimeout) + BROKER_TIME
}
