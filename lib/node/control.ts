import { randomUUID } from 'node:crypto'
import type { Broker, Publication } from '../broker/broker.ts'
import type { Connection } from '../connection/connection.ts'
import type { Registry } from '../connection/registry.ts'
import type { Hub } from '../hub/hub.ts'
import { continuityOf } from '../hub/recovery.ts'
import { CLOSE } from '../protocol/close-codes.ts'
import type { Disconnect } from '../protocol/disconnect-codes.ts'
import type { Position } from '../protocol/position.ts'
import type { FilterNode } from '../protocol/tags-filter.ts'
import type { Timed, TimerWheel } from '../timing/timer-wheel.ts'
import {
  type ControlMessage,
  type ControlRequest,
  type ControlTarget,
  readControlMessage,
  writeControlMessage
} from './control-message.ts'

/** The channel for requests between nodes. A channel of an application cannot have a control character in its name. */
export const CONTROL_CHANNEL = '\u0000control'

// A node that was cut off for longer, or missed more requests, can no longer read all of them.
const HISTORY = { size: 10_000, ttl: 3_600_000 }
const PAGE_SIZE = 1_000
// Milliseconds until the channel is read again after a failure.
const RETRY_DELAY = 1_000

export interface ControlOptions {
  readonly broker: Broker
  readonly hub: Hub
  readonly registry: Registry
  readonly wheel: TimerWheel
  /** Called if a request could not be applied to a connection. */
  failed(stage: string, error: unknown): void
  /** Called if a message on the channel is not a request that this node knows. */
  dropped(): void
  /** Called if this node has read the requests of other nodes, and with an error if it failed to do so twice. */
  receiving(error?: unknown): void
  /** Called if the broker lost requests that this node may not have read. The node had read all of them at `since`. */
  missed(since: Date): void
  /** Handshakes in progress. A request for all connections of a user is for these too. */
  readonly handshakes: {
    /** When the latest handshake began, by the wheel's clock. */
    readonly latest: number
    /** Ends the handshakes that began before a request was made. */
    dismiss(user: string, disconnect: Disconnect, madeAt: number): void
    /**
     * Applies a request of another kind to the connections of handshakes that began before it was made. The latest
     * request of each kind counts.
     */
    change(user: string, kind: string, apply: (connection: string) => void, madeAt: number): void
  }
}

/** How far this node has read the channel. */
interface ReadPosition extends Position {
  /**
   * At this time the position was the newest: requests after it were made later. By the wheel's clock; -Infinity if
   * no such time is known.
   */
  readonly confirmedAt: number
  /** The same time by the system's clock, for the log. */
  readonly confirmedDate: Date
}

/**
 * Requests to all nodes. The node that makes a request executes it at once. The others execute it when they read it.
 * Requests are kept in history. So a node that was cut off from the broker executes them later.
 *
 * A request is for the connections that had begun when it was made. To decide this, the clocks of two nodes are never
 * compared. A connection that began before this node was last up to date is older than any request that arrives. For
 * younger connections the node reads the request from history, where the broker reports its age by the broker's clock.
 */
export class Control implements Timed {
  readonly #options: ControlOptions
  readonly #node = randomUUID()
  #position: ReadPosition | undefined
  #reading: Promise<void> | undefined
  /** True if there was another call of `audit` while the channel was being read. */
  #readAgain = false
  #receiving = false
  #failures = 0
  /** The ids of executed requests, the oldest first. After a restart of the broker all requests are read again. */
  readonly #executed = new Set<string>()
  wheelTick = -1

  constructor(options: ControlOptions) {
    this.#options = options
  }

  /** True while this node receives the requests of other nodes, as far as it can know. */
  get receiving(): boolean {
    return this.#receiving
  }

  disconnect(target: ControlTarget, options: { code?: number; reason?: string }): Promise<void> {
    const { code = CLOSE.forbidden.code, reason = code === CLOSE.forbidden.code ? CLOSE.forbidden.reason : '' } =
      options
    return this.#send({ target, do: 'disconnect', code, reason })
  }

  subscribe(target: ControlTarget, channel: string, filter?: FilterNode): Promise<void> {
    return this.#send({ target, do: 'subscribe', channel, ...(filter && { filter }) })
  }

  unsubscribe(target: ControlTarget, channel: string): Promise<void> {
    return this.#send({ target, do: 'unsubscribe', channel })
  }

  refresh(target: ControlTarget, expiresAt: number): Promise<void> {
    return this.#send({ target, do: 'refresh', expiresAt })
  }

  /** Called with each message on the channel. */
  receive({ offset, epoch, data }: Publication): void {
    const last = this.#position
    if (last === undefined) return
    if (epoch !== last.epoch || offset !== last.offset + 1) {
      // Read also if this node is past that offset: the broker may have lost its newest data.
      void this.audit()
      return
    }
    const message = this.#newMessage(data)
    if (message !== undefined && this.#concernsYounger(message.request, last.confirmedAt)) {
      void this.audit()
      return
    }
    this.#position = { ...last, offset }
    if (message !== undefined) this.#executeOnce(message, last.confirmedAt)
  }

  /** True if the request may be for connections that began after this time. Its age then decides for each of them. */
  #concernsYounger(request: ControlRequest, time: number): boolean {
    const { handshakes } = this.#options
    if (isOfUser(request.target) && handshakes.latest > time) return true
    return this.#find(request).some(({ settings }) => settings.begunAt > time)
  }

  /**
   * Subscribes to the channel, and executes the requests that this node missed. Called whenever the broker has become
   * available, and if messages of the broker may have been lost. Never rejects: after a failure the wheel calls again.
   */
  audit(): Promise<void> {
    this.#readAgain = true
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined
    })
    return this.#reading
  }

  /** The wheel calls this some time after the channel could not be read. */
  onDue(): number {
    // If the broker is unavailable, `audit` is fromCallback once it is back.
    if (this.#options.broker.up) void this.audit()
    return Number.POSITIVE_INFINITY
  }

  /** Called when the broker has become unavailable: this node receives nothing until it is back. */
  lost(): void {
    this.#receiving = false
  }

  /** Resolves when the current read of the channel is done. Undefined if there is none. */
  get reading(): Promise<void> | undefined {
    return this.#reading
  }

  async #read(): Promise<void> {
    const { wheel, receiving } = this.#options
    try {
      while (this.#readAgain) {
        this.#readAgain = false
        await this.#catchUp(this.#position ?? (await this.#start()))
      }
      this.#failures = 0
      this.#receiving = true
      receiving()
    } catch (error) {
      this.#receiving = false
      // A single failure may be the first sign that the broker is unavailable, which is reported separately.
      if (++this.#failures === 2) receiving(error)
      wheel.set(this, wheel.now() + RETRY_DELAY)
    }
  }

  /** Subscribes, and returns the position after which requests are for this node. */
  async #start(): Promise<ReadPosition> {
    const { broker, registry, wheel } = this.#options
    await broker.subscribe(CONTROL_CHANNEL)
    const confirmedAt = wheel.now()
    const confirmedDate = new Date()
    const { position } = await broker.history(CONTROL_CHANNEL, { limit: 0 })
    // Connections opened before this node was subscribed: earlier requests may be for them.
    this.#position =
      registry.size > 0
        ? { epoch: position.epoch, offset: 0, confirmedAt: Number.NEGATIVE_INFINITY, confirmedDate }
        : { ...position, confirmedAt, confirmedDate }
    return this.#position
  }

  /** Executes the requests after a position, page by page. */
  async #catchUp(start: ReadPosition): Promise<void> {
    const { broker, wheel, missed } = this.#options
    let since: Position = start
    let madeAfter = start.confirmedAt
    // At the beginning of a history it is not known whether there were requests before it.
    let isContinued = madeAfter > Number.NEGATIVE_INFINITY
    for (;;) {
      const confirmedAt = wheel.now()
      const confirmedDate = new Date()
      const page = await broker.history(CONTROL_CHANNEL, { since, limit: PAGE_SIZE, ages: true })
      const { epoch } = page.position
      if (epoch !== since.epoch || (isContinued && continuityOf(since, page) === 'gap')) {
        missed(start.confirmedDate)
        since = { epoch, offset: 0 }
        this.#position = { ...start, ...since }
        isContinued = false
        madeAfter = Number.NEGATIVE_INFINITY
        continue
      }
      for (const { data, age = 0 } of page.publications) {
        const message = this.#newMessage(data)
        // If the broker's clock was set back, a request seems younger than it is. It is then for more connections.
        if (message !== undefined) this.#executeOnce(message, Math.max(madeAfter, wheel.now() - Math.max(0, age)))
      }
      const offset = page.publications.at(-1)?.offset ?? page.position.offset
      since = { epoch, offset }
      isContinued = true
      // Requests that arrived meanwhile are executed already, and may be newer than the page.
      const { offset: current } = this.#position as ReadPosition
      this.#position = { epoch, offset: Math.max(offset, current), confirmedAt, confirmedDate }
      if (offset >= page.position.offset) return
    }
  }

  /** The message, if it is a request that this node has not executed yet. */
  #newMessage(data: Buffer): ControlMessage | undefined {
    const message = readControlMessage(data)
    if (message === undefined) this.#options.dropped()
    return message?.node === this.#node || this.#executed.has(message?.id as string) ? undefined : message
  }

  #executeOnce({ id, request }: ControlMessage, madeAt: number): void {
    this.#remember(id)
    this.#execute(request, madeAt)
  }

  #remember(id: string): void {
    this.#executed.add(id)
    if (this.#executed.size <= HISTORY.size) return
    const [oldest] = this.#executed
    this.#executed.delete(oldest as string)
  }

  async #send(request: ControlRequest): Promise<void> {
    this.#execute(request, Number.POSITIVE_INFINITY)
    const data = writeControlMessage({ node: this.#node, id: randomUUID(), request })
    await this.#options.broker.publish(CONTROL_CHANNEL, data, { history: HISTORY })
  }

  /** Applies a request to the connections that began before it was made. */
  #execute(request: ControlRequest, madeAt: number): void {
    if (isOfUser(request.target)) this.#applyToHandshakes(request.target.user, request, madeAt)
    for (const socket of this.#find(request)) {
      if (socket.settings.begunAt <= madeAt) this.#tryApply(request, socket)
    }
  }

  #applyToHandshakes(user: string, request: ControlRequest, madeAt: number): void {
    const { handshakes, registry } = this.#options
    if (request.do === 'disconnect') {
      handshakes.dismiss(user, request, madeAt)
      return
    }
    const apply = (connection: string) => {
      for (const socket of registry.find({ user, connection })) this.#tryApply(request, socket)
    }
    // `subscribe` and `unsubscribe` of one channel are of one kind, because each cancels the other.
    handshakes.change(user, 'channel' in request ? `channel ${request.channel}` : request.do, apply, madeAt)
  }

  #tryApply(request: ControlRequest, socket: Connection): void {
    try {
      this.#apply(request, socket)
    } catch (error) {
      // A failure for one connection must not affect the others.
      this.#options.failed('control', error)
    }
  }

  /** The connections that a request is for. */
  #find({ target: { user, connection, channel } }: ControlRequest): Connection[] {
    const { hub, registry } = this.#options
    const isForAll = user === undefined && connection === undefined
    const sockets = isForAll ? [...registry] : registry.find({ user, connection })
    if (channel === undefined) return sockets
    return sockets.filter((socket) => socket.session?.isOn(channel) ?? hub.isOn(socket, channel))
  }

  #apply(request: ControlRequest, socket: Connection): void {
    const { wheel } = this.#options
    const { session } = socket
    switch (request.do) {
      case 'disconnect':
        socket.closeWith(request)
        break
      case 'subscribe':
        session?.subscribe(request.channel, request.filter)
        break
      case 'unsubscribe':
        if (session === undefined) socket.unsubscribe(request.channel)
        else session.unsubscribe(request.channel)
        break
      case 'refresh':
        socket.extend(wheel.now() + request.expiresAt * 1000 - Date.now())
        session?.extended(request.expiresAt)
    }
  }
}

/** True if a request is for all connections of a user, including those whose handshake is in progress. */
function isOfUser(target: ControlTarget): target is ControlTarget & { readonly user: string } {
  return target.user !== undefined && target.connection === undefined && target.channel === undefined
}
