import { randomUUID } from 'node:crypto'
import type { Broker, Publication } from '../broker/broker.ts'
import { CLOSE } from '../protocol/close-codes.ts'
import type { StreamPosition } from '../socket/context.ts'
import type { RealtimeSocket } from '../socket/realtime-socket.ts'
import type { Registry } from '../socket/registry.ts'
import type { TimerWheel } from '../socket/timer-wheel.ts'
import type { Hub } from './hub.ts'

/** The channel that nodes talk to one another on. No application's channel can have a control character in its name. */
export const CONTROL_CHANNEL = '\u0000control'

// How far apart the clocks of two nodes may be.
const SKEW = 5_000

// A node that was cut off for longer, or from more than this, can't be told any more what it missed.
const HISTORY = { size: 10_000, ttl: 3_600_000 }

interface ControlTarget {
  readonly user?: string
  readonly connection?: string
}

/** A request to all nodes, as it goes over the broker. */
type Command = { readonly target: ControlTarget } & (
  | { readonly do: 'disconnect'; readonly code: number; readonly reason: string }
  | { readonly do: 'subscribe' | 'unsubscribe'; readonly channel: string }
  | { readonly do: 'refresh'; readonly expiresAt: number }
)

/** Which node asks, under an id of its own, and when by its clock (milliseconds since 1970). */
type Envelope = Command & { readonly node: string; readonly id: string; readonly at: number }

export interface ControlOptions {
  readonly broker: Broker
  readonly hub: Hub
  readonly registry: Registry
  readonly wheel: TimerWheel
  failed(stage: string, error: unknown): void
}

/**
 * What one node asks of all: this one obeys at once, the others when the broker has told them. Requests are kept in
 * history, so that a node that the broker could not reach obeys them when it can.
 */
export class Control {
  readonly #options: ControlOptions
  readonly #node = randomUUID()
  #position: StreamPosition | undefined
  #reading = false
  /** Something was asked for while it was being read. */
  #again = false
  /** Requests that were obeyed, the oldest first: after a restart of the broker all of them are read again. */
  readonly #obeyed = new Set<string>()

  constructor(options: ControlOptions) {
    this.#options = options
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

  /** Listens to the other nodes. Called whenever the broker has become usable. */
  async listen(): Promise<void> {
    if (this.#position !== undefined) return
    const { broker, failed, registry } = this.#options
    try {
      await broker.subscribe(CONTROL_CHANNEL)
      const { position } = await broker.history(CONTROL_CHANNEL, { limit: 0 })
      const isLate = registry.size > 0
      this.#position = isLate ? { ...position, offset: 0 } : position
      // Connections came before this node could listen: what was asked meanwhile may concern them.
      if (isLate) await this.audit()
    } catch (error) {
      failed('control', error)
    }
  }

  /** A request of a node came. */
  receive({ offset, epoch, data }: Publication): void {
    const last = this.#position
    if (last === undefined) return
    if (epoch === last.epoch && offset <= last.offset) return
    if (epoch !== last.epoch || offset !== last.offset + 1) {
      void this.audit()
      return
    }
    this.#position = { offset, epoch }
    this.#read(data, false)
  }

  /** Obeys what was missed. */
  async audit(): Promise<void> {
    if (this.#position === undefined) return
    this.#again = true
    if (this.#reading) return
    this.#reading = true
    try {
      while (this.#again) await this.#catchUp(this.#position)
    } catch (error) {
      this.#options.failed('control', error)
    } finally {
      this.#reading = false
    }
  }

  async #catchUp(since: StreamPosition): Promise<void> {
    const { broker } = this.#options
    this.#again = false
    const limit = HISTORY.size
    let page = await broker.history(CONTROL_CHANNEL, { since, limit })
    const isNew = page.position.epoch !== since.epoch
    if (isNew) page = await broker.history(CONTROL_CHANNEL, { since: { ...page.position, offset: 0 }, limit })
    for (const { data } of page.publications) this.#read(data, true)
    // What came meanwhile has been obeyed, and may be newer than the page.
    const { epoch, offset } = this.#position as StreamPosition
    if (epoch !== page.position.epoch || offset < page.position.offset) this.#position = page.position
  }

  #read(data: Buffer, late: boolean): void {
    try {
      const command = JSON.parse(data.toString()) as Envelope
      if (command.node === this.#node || this.#obeyed.has(command.id)) return
      this.#remember(command.id)
      this.#obey(command, late ? command.at + SKEW : Number.POSITIVE_INFINITY)
    } catch (error) {
      // A node of another version, or a stranger with access to Redis.
      this.#options.failed('control', error)
    }
  }

  #remember(id: string): void {
    this.#obeyed.add(id)
    if (this.#obeyed.size <= HISTORY.size) return
    const [oldest] = this.#obeyed
    this.#obeyed.delete(oldest as string)
  }

  async #send(command: Command): Promise<void> {
    this.#obey(command, Number.POSITIVE_INFINITY)
    const envelope: Envelope = { ...command, node: this.#node, id: randomUUID(), at: Date.now() }
    const data = Buffer.from(JSON.stringify(envelope))
    await this.#options.broker.publish(CONTROL_CHANNEL, data, { history: HISTORY })
  }

  /** A request that comes late is not for those who have connected since. */
  #obey(command: Command, openedBefore: number): void {
    const now = Date.now()
    for (const socket of this.#options.registry.find(command.target)) {
      if (now - socket.stats.age > openedBefore) continue
      try {
        this.#apply(command, socket)
      } catch (error) {
        // A request of another version's: that it can't be done to one connection must not spare the others.
        this.#options.failed('control', error)
      }
    }
  }

  #apply(command: Command, socket: RealtimeSocket): void {
    const { hub, wheel } = this.#options
    const { session } = socket
    if (command.do === 'disconnect') socket.closeWith(command)
    else if (command.do === 'unsubscribe' && session === undefined) hub.unsubscribe(socket, command.channel)
    else if (command.do !== 'refresh') session?.[command.do](command.channel)
    else if (!Number.isFinite(command.expiresAt)) throw new TypeError('expiresAt is no time')
    else {
      socket.extend(wheel.now() + command.expiresAt * 1000 - Date.now())
      session?.extended(command.expiresAt)
    }
  }
}
