import type { Duplex } from 'node:stream'
import type { Broker, BrokerListener, Publication } from '../broker/broker.ts'
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
import { type Deliver, Relay } from './relay.ts'
import { isRelayMessage } from './relay-message.ts'
import { isInbox, Roster } from './roster.ts'
import { StrayNames } from './stray-names.ts'
import { UserRates } from './user-rates.ts'

// Deadlines are at most this many milliseconds late.
const RESOLUTION = 50
// Maximum number of concurrent broker calls for subscriptions. The broker would not be faster with more.
const MAX_SUBSCRIBE_CALLS = 256
// The errors of calls while the broker is unavailable, and of calls during which it became unavailable.
const UNAVAILABLE = new Set<string | undefined>(['FST_RT_UNAVAILABLE', 'FST_RT_UNKNOWN_OUTCOME'])
// Limits the warnings about nodes that declare different histories: one line per hour for each of so many channels.
const POLICY_LOG = { interval: 3_600_000, channels: 1_000 }
// Milliseconds between log lines about events that can be as frequent as messages.
const LOG_INTERVAL = 60_000
// Milliseconds that the broker may add to a handshake, or to a `connect`, besides the time of the application's hooks.
const BROKER_TIME = 30_000
const { random } = Math

// The first character of the channels between nodes. A channel of an application cannot have one in its name.
const PRIVATE = '\u0000'

/** The channels that the application has declared, found by a channel's name. */
export interface DeclaredChannels {
  readonly patterns: readonly string[]
  find(channel: string): DeclaredChannel | undefined
}

/** The parts of a node that it does not make by itself. */
export interface NodeParts {
  readonly broker: Broker
  readonly log: Log
  readonly channels: DeclaredChannels
  /** Hands commands of other nodes to a session of this node. */
  readonly deliver: Deliver
  /** The settings of the connection on a stream, as its handshake left them. */
  settingsOf(stream: Duplex): ConnectionSettings
}

/** One process: its connections, its channels, and the parts that they share. */
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
  readonly relay: Relay
  readonly metrics: Metrics
  readonly drainer: Drainer
  readonly context: SocketContext
  readonly realtime: Realtime
  /** Receives the publications of a private channel, whose name begins with a zero character. By the channel's name. */
  readonly listeners = new Map<string, (publication: Publication) => void>()
  /** Called with the channel of each publication that reaches this node. Undefined if nobody counts them. */
  onPublication: ((channel: string) => void) | undefined
  readonly #unreadable = new OncePer(LOG_INTERVAL)
  readonly #policies = new OncePerName(POLICY_LOG.interval, POLICY_LOG.channels)
  readonly #failures = new Map<string, OncePer>()
  readonly #refusals = new OncePer(LOG_INTERVAL)
  readonly #firstFailure: Promise<void>
  #failedFirst!: () => void
  #wasUnavailable = false
  #failedToReceive = false

  constructor(options: ResolvedOptions, { broker, log, channels, deliver, settingsOf }: NodeParts) {
    const { redis, drain, limits, logConnections } = options
    const { wheel, registry } = this
    const turn = new Turn((error) => this.#failed('end of turn', error))
    const limiter = new Limiter(MAX_SUBSCRIBE_CALLS)
    const failed = (stage: string, err: unknown) => {
      // An unavailable broker is logged once. The calls that then fail are not logged.
      if (!UNAVAILABLE.has((err as { code?: string }).code)) log.warn({ err, stage }, 'broker failed')
    }
    this.#log = log
    this.#logConnections = logConnections
    this.#firstFailure = new Promise((resolve) => {
      this.#failedFirst = resolve
    })
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
      traitsOf: (channel) => channels.find(channel)?.definition,
      noSubscriber: (channel) => {
        if (channels.find(channel) === undefined) stray.note(channel)
      },
      failed,
      repaired: metrics.repaired.bind(metrics),
      delivered: metrics.delivered.bind(metrics),
      deltasSaved: metrics.deltasSaved.bind(metrics),
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
      receiving: (error) => this.#receivingChanged(error),
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
    const hasNode = (node: string) => roster.has(node)
    this.relay = new Relay({ broker, wheel, node: roster.node, alone, deliver, hasNode, failed, dropped })
    this.realtime = new Realtime({ broker, hub, registry, drainer, control, roster })
  }

  /**
   * Starts the broker. If the broker is unavailable, the application starts anyway, and `realtime.ready()` is false
   * until the broker is available. Rejects if the broker can never be used (credentials, permissions).
   */
  async start(): Promise<void> {
    const started = this.broker.start(this.#listener())
    started.catch((err) => {
      // It is not a failure if the application ends during the start.
      if (this.#wasUnavailable && !this.drainer.draining) this.#log.error({ err }, 'broker cannot be used')
    })
    // If the broker is available, the node is ready when the start is done.
    const ready = async () => {
      await started
      await Promise.all([this.control.reading, this.roster.join()])
    }
    await Promise.race([ready(), this.#firstFailure])
  }

  /** Called if Redis rejects this node after the start because of the configuration of Redis. */
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

  /** Closes a connection whose user has too many connections. Returns false if it is not open. */
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
    const { control, hub, relay, roster } = this
    // The broker calls these functions from its connection's callbacks, where an error would end the process.
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
        else if (isInbox(channel)) (isRelayMessage(publication.data) ? relay : roster).receive(publication)
        else if (channel.startsWith(PRIVATE)) this.listeners.get(channel)?.(publication)
        else {
          this.onPublication?.(channel)
          hub.receive(channel, publication)
        }
      }),
      presence: guarded((channel, kind, info) => hub.receivePresence(channel, kind, info)),
      dropped: guarded((channel) => this.#dropped('message', channel)),
      audit: guarded((channels) => {
        void control.audit()
        hub.audit(channels)
      }),
      shard: guarded((shard, up, cause) => this.#shardChanged(shard, up, cause)),
      state: guarded((up, cause) => this.#brokerChanged(up, cause))
    }
  }

  /** Logs an error of this package, or of a dependency, that must not affect other parts of the node. */
  #failed(stage: string, err: unknown): void {
    const counter = this.#failures.get(stage) ?? new OncePer(LOG_INTERVAL)
    this.#failures.set(stage, counter)
    const times = counter.count(this.wheel.now())
    if (times > 0) this.#log.error({ err, stage, times }, 'unexpected failure')
  }

  #dropped(kind: 'message' | 'request', channel?: string): void {
    this.metrics.unreadable(kind)
    const times = this.#unreadable.count(this.wheel.now())
    if (times > 0) this.#log.warn({ kind, channel, times }, 'message between nodes dropped')
  }

  #unpositioned(channel: string): void {
    if (!this.#policies.isDue(channel, this.wheel.now())) return
    this.#log.warn({ channel }, 'publication without a position on a channel with history')
  }

  #shardChanged(shard: string, up: boolean, err: Error | undefined): void {
    if (up) this.#log.warn({ shard }, 'broker shard is back')
    else this.#log.warn({ shard, err }, 'broker shard is away')
    // The shard may be the one that carries the requests of other nodes.
    void this.control.audit()
  }

  #brokerChanged(up: boolean, err: Error | undefined): void {
    if (!up) this.#log.warn({ err }, 'broker is away')
    else if (this.#wasUnavailable) this.#log.warn({}, 'broker is back')
    this.#wasUnavailable = !up
    if (up) {
      void this.control.audit()
      void this.roster.join()
    } else {
      this.control.lost()
      this.#failedFirst()
    }
  }

  #receivingChanged(err: unknown): void {
    const failed = err !== undefined
    if (failed) this.#log.warn({ err }, 'requests of other nodes cannot be read')
    else if (this.#failedToReceive) this.#log.warn({}, 'requests of other nodes can be read')
    this.#failedToReceive = failed
  }
}

/** Milliseconds that a handshake, or the verification of a later token, may take until its connection is registered. */
function handshakeTime({ limits, channels }: ResolvedOptions): number {
  return Math.max(limits.upgradeTimeout, channels.hookTimeout) + BROKER_TIME
}
