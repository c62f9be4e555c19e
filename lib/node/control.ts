import { randomUUID } from 'node:crypto'
import type { Broker, Publication } from '../broker/broker.ts'
import type { Connection } from '../connection/connection.ts'
import type { Registry } from '../connection/registry.ts'
import type { Hub } from '../hub/hub.ts'
import { continuityOf } from '../hub/recovery.ts'
import { CLOSE } from '../protocol/close-codes.ts'
import type { Disconnect } from '../protocol/disconnect-codes.ts'
import type { Position } from '../protocol/position.ts'
import type { Timed, TimerWheel } from '../timing/timer-wheel.ts'
import {
  type ControlMessage,
  type ControlRequest,
  type ControlTarget,
  readControlMessage,
  writeControlMessage
} from './control-message.ts'

/** The channel that nodes talk to one another on. No application's channel can have a control character in its name. */
export const CONTROL_CHANNEL = '\u0000control'

// A node that was cut off for longer, or from more than this, cannot read any more what it missed.
const HISTORY = { size: 10_000, ttl: 3_600_000 }
const PAGE = 1_000
// Milliseconds until the channel is read again after it could not be.
const RETRY = 1_000

export interface ControlOptions {
  readonly broker: Broker
  readonly hub: Hub
  readonly registry: Registry
  readonly wheel: TimerWheel
  /** A request could not be done to a connection. */
  failed(stage: string, error: unknown): void
  /** A message on the channel is no request, or none that this node knows. */
  dropped(): void
  /** This node cannot read the requests of other nodes, though it tried twice; or, without an error, it can. */
  obeys(error?: unknown): void
  /** The broker lost requests that this node may not have read. `since` is when it had read all, by its own clock. */
  missed(since: Date): void
  /** Handshakes that are under way: what is asked for all connections of a user concerns that user's too. */
  readonly handshakes: {
    /** When the latest of them began, by the wheel's clock. */
    readonly latest: number
    /** Ends those that began before a request was made. */
    dismiss(user: string, disconnect: Disconnect, madeAt: number): void
    /** Has something else done to the connections of those that began before a request was made; the latest of its kind. */
    change(user: string, kind: string, apply: (connection: string) => void, madeAt: number): void
  }
}

/** Where a node is in the channel, and since when (by the wheel's clock, and for the log by the system's). */
interface Place extends Position {
  /** The position was the newest at this time: a request after it was made later. -Infinity if nothing is known. */
  readonly confirmedAt: number
  readonly confirmedOn: Date
}

/**
 * What one node asks of all: this one obeys at once, the others when they read it. Requests are kept in history, so that
 * a node that the broker could not reach obeys them when it can.
 *
 * A request concerns the connections that had begun when it was made. Nodes' clocks are never compared for that. A
 * connection that began before this node was last up to date is older than any request that comes. For the others the
 * request is read from history, where the broker says by its own clock how old it is.
 */
export class Control implements Timed {
  readonly #options: ControlOptions
  readonly #node = randomUUID()
  #place: Place | undefined
  #reading: Promise<void> | undefined
  /** Something was asked for while it was being read. */
  #again = false
  #obeys = false
  #failures = 0
  /** Requests that were obeyed, the oldest first: after a restart of the broker all of them are read again. */
  readonly #obeyed = new Set<string>()
  wheelTick = -1

  constructor(options: ControlOptions) {
    this.#options = options
  }

  /** True while requests of other nodes reach this one, as far as it can know. */
  get obeys(): boolean {
    return this.#obeys
  }

  disconnect(target: ControlTarget, options: { code?: number; reason?: string }): Promise<void> {
    const { code = CLOSE.forbidden.code, reason = code === CLOSE.forbidden.code ? CLOSE.forbidden.reason : '' } =
      options
    return this.#send({ target, do: 'disconnect', code, reason })
  }

  subscribe(target: ControlTarget, channel: string): Promise<void> {
    return this.#send({ target, do: 'subscribe', channel })
  }

  unsubscribe(target: ControlTarget, channel: string): Promise<void> {
    return this.#send({ target, do: 'unsubscribe', channel })
  }

  refresh(target: ControlTarget, expiresAt: number): Promise<void> {
    return this.#send({ target, do: 'refresh', expiresAt })
  }

  /** A request of a node came. */
  receive({ offset, epoch, data }: Publication): void {
    const last = this.#place
    if (last === undefined) return
    if (epoch !== last.epoch || offset !== last.offset + 1) {
      // Also if this node is past it: the broker may have gone back to what it was before.
      void this.audit()
      return
    }
    const message = this.#unknown(data)
    if (message !== undefined && this.#concernsYounger(message.request, last.confirmedAt)) {
      void this.audit()
      return
    }
    this.#place = { ...last, offset }
    if (message !== undefined) this.#obeyOnce(message, last.confirmedAt)
  }

  /** Whether there may be connections that began after a time, and before or after the request was made. */
  #concernsYounger(request: ControlRequest, time: number): boolean {
    const { handshakes } = this.#options
    if (isOfUser(request.target) && handshakes.latest > time) return true
    return this.#find(request).some(({ settings }) => settings.begunAt > time)
  }

  /**
   * Listens to the other nodes, and obeys what was missed. Called whenever the broker has become usable, and when
   * messages of it may have been lost. Never rejects: after a failure the wheel calls again.
   */
  audit(): Promise<void> {
    this.#again = true
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined
    })
    return this.#reading
  }

  /** The wheel calls this: the channel could not be read. */
  onDue(): number {
    // A broker that is away calls once it is back.
    if (this.#options.broker.up) void this.audit()
    return Number.POSITIVE_INFINITY
  }

  /** The broker is away: nothing reaches this node until it is back. */
  lost(): void {
    this.#obeys = false
  }

  /** What is being read at this moment, if anything. */
  get reading(): Promise<void> | undefined {
    return this.#reading
  }

  async #read(): Promise<void> {
    const { wheel, obeys } = this.#options
    try {
      while (this.#again) {
        this.#again = false
        await this.#catchUp(this.#place ?? (await this.#listen()))
      }
      this.#failures = 0
      this.#obeys = true
      obeys()
    } catch (error) {
      this.#obeys = false
      // A single failure may be the first sign that the broker is away, which is reported as that.
      if (++this.#failures === 2) obeys(error)
      wheel.set(this, wheel.now() + RETRY)
    }
  }

  /** Subscribes, and says from where on requests concern this node. */
  async #listen(): Promise<Place> {
    const { broker, registry, wheel } = this.#options
    await broker.subscribe(CONTROL_CHANNEL)
    const confirmedAt = wheel.now()
    const confirmedOn = new Date()
    const { position } = await broker.history(CONTROL_CHANNEL, { limit: 0 })
    // Connections came before this node could listen: what was asked meanwhile may concern them.
    this.#place =
      registry.size > 0
        ? { epoch: position.epoch, offset: 0, confirmedAt: Number.NEGATIVE_INFINITY, confirmedOn }
        : { ...position, confirmedAt, confirmedOn }
    return this.#place
  }

  /** Obeys what came after a place, page by page. */
  async #catchUp(place: Place): Promise<void> {
    const { broker, wheel, missed } = this.#options
    let since: Position = place
    let madeAfter = place.confirmedAt
    // From the beginning of a history there is no telling what was before it.
    let isContinued = madeAfter > Number.NEGATIVE_INFINITY
    for (;;) {
      const confirmedAt = wheel.now()
      const confirmedOn = new Date()
      const page = await broker.history(CONTROL_CHANNEL, { since, limit: PAGE, ages: true })
      const { epoch } = page.position
      if (epoch !== since.epoch || (isContinued && continuityOf(since, page) === 'hole')) {
        missed(place.confirmedOn)
        since = { epoch, offset: 0 }
        this.#place = { ...place, ...since }
        isContinued = false
        madeAfter = Number.NEGATIVE_INFINITY
        continue
      }
      for (const { data, age = 0 } of page.publications) {
        const message = this.#unknown(data)
        // A clock that was set back makes a request younger than it is, and concerns more connections, not fewer.
        if (message !== undefined) this.#obeyOnce(message, Math.max(madeAfter, wheel.now() - Math.max(0, age)))
      }
      const offset = page.publications.at(-1)?.offset ?? page.position.offset
      since = { epoch, offset }
      isContinued = true
      // What came meanwhile has been obeyed, and may be newer than the page.
      this.#place = { epoch, offset: Math.max(offset, (this.#place as Place).offset), confirmedAt, confirmedOn }
      if (offset >= page.position.offset) return
    }
  }

  /** The message, if it is one that this node has not obeyed yet. */
  #unknown(data: Buffer): ControlMessage | undefined {
    const message = readControlMessage(data)
    if (message === undefined) this.#options.dropped()
    return message?.node === this.#node || this.#obeyed.has(message?.id as string) ? undefined : message
  }

  #obeyOnce({ id, request }: ControlMessage, madeAt: number): void {
    this.#remember(id)
    this.#obey(request, madeAt)
  }

  #remember(id: string): void {
    this.#obeyed.add(id)
    if (this.#obeyed.size <= HISTORY.size) return
    const [oldest] = this.#obeyed
    this.#obeyed.delete(oldest as string)
  }

  async #send(request: ControlRequest): Promise<void> {
    this.#obey(request, Number.POSITIVE_INFINITY)
    const data = writeControlMessage({ node: this.#node, id: randomUUID(), request })
    await this.#options.broker.publish(CONTROL_CHANNEL, data, { history: HISTORY })
  }

  /** A request is not for connections that have begun since it was made. */
  #obey(request: ControlRequest, madeAt: number): void {
    if (isOfUser(request.target)) this.#noteForHandshakes(request.target.user, request, madeAt)
    for (const socket of this.#find(request)) {
      if (socket.settings.begunAt <= madeAt) this.#attempt(request, socket)
    }
  }

  #noteForHandshakes(user: string, request: ControlRequest, madeAt: number): void {
    const { handshakes, registry } = this.#options
    if (request.do === 'disconnect') {
      handshakes.dismiss(user, request, madeAt)
      return
    }
    const apply = (connection: string) => {
      for (const socket of registry.find({ user, connection })) this.#attempt(request, socket)
    }
    // The end of a subscription takes back what began it, and the other way round.
    handshakes.change(user, 'channel' in request ? `channel ${request.channel}` : request.do, apply, madeAt)
  }

  #attempt(request: ControlRequest, socket: Connection): void {
    try {
      this.#apply(request, socket)
    } catch (error) {
      // That it can't be done to one connection must not spare the others.
      this.#options.failed('control', error)
    }
  }

  /** The connections that a request is for. */
  #find({ target: { user, connection, channel } }: ControlRequest): Connection[] {
    const { hub, registry } = this.#options
    const isAnyone = user === undefined && connection === undefined
    const sockets = isAnyone ? [...registry] : registry.find({ user, connection })
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
        session?.subscribe(request.channel)
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

/** Whether all connections of a user are meant, those in their handshake among them. */
function isOfUser(target: ControlTarget): target is ControlTarget & { readonly user: string } {
  return target.user !== undefined && target.connection === undefined && target.channel === undefined
}
