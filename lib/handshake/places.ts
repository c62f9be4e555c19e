import type { Writable } from 'node:stream'
import type { FastifyRequest } from 'fastify'
import type { Broker } from '../broker/broker.ts'
import { CapacityError, UserCapacityError } from '../errors.ts'
import { GuardedLog, type Log } from '../input/guarded-log.ts'
import type { Timed, TimerWheel } from '../timing/timer-wheel.ts'
import { addressKey } from './address.ts'
import { RefusalReason, withCause } from './refusal-reason.ts'

export interface PlacesOptions {
  readonly broker: Broker
  readonly wheel: TimerWheel
  readonly limits: { readonly total: number; readonly perAddress: number; readonly perUser: number }
  /** Closes a connection that has lost its place. Returns false if it is not open. */
  evict(connection: string): boolean
}

/** The handshake that has a place, and later its connection. */
export interface PlaceHolder {
  readonly id: string
  readonly stream: Writable
}

/** Counts the open connections of one remote address. */
class AddressCounter {
  readonly #places: Places
  readonly #address: string
  open = 0

  constructor(places: Places, address: string) {
    this.#places = places
    this.#address = address
  }

  release(): void {
    if (--this.open === 0) this.#places.forget(this.#address)
    this.#places.release()
  }
}

const kCounter = Symbol('fastify-realtime.counter')
/** A stream whose connection has a place. */
type Placed = Writable & { [kCounter]?: Places | AddressCounter }

/** If a node dies, the places of its users expire after `ttl` milliseconds. Tests use a shorter time. */
export const LEASE = { ttl: 30_000 }

/**
 * Limits the number of connections: in total and per remote address on this node, and per user over all nodes. Each
 * connection takes a place under each limit. The place is released on the `close` event of the raw stream, because no
 * Fastify hook runs if `ws` refuses after the hooks or the peer resets the connection.
 */
export class Places {
  readonly #options: PlacesOptions
  readonly #addresses = new Map<string, AddressCounter>()
  #total = 0

  constructor(options: PlacesOptions) {
    this.#options = options
  }

  /**
   * Takes a place on this node. Throws `FST_RT_CAPACITY` if none is free. Reads the remote address only if there is a
   * limit per address.
   */
  take({ stream }: PlaceHolder, request: Pick<FastifyRequest, 'ip'>): void {
    const { total, perAddress } = this.#options.limits
    if (this.#total >= total) throw capacityError('total')
    const ip: string | undefined = perAddress === Number.POSITIVE_INFINITY ? undefined : request.ip
    const counter = ip === undefined ? undefined : this.#counterOf(addressKey(ip))
    if (counter !== undefined) {
      if (counter.open >= perAddress) throw capacityError('perAddress')
      counter.open++
    }
    this.#total++
    ;(stream as Placed)[kCounter] = counter ?? this
    stream.on('close', releasePlace)
  }

  #counterOf(address: string): AddressCounter {
    const known = this.#addresses.get(address)
    if (known !== undefined) return known
    const counter = new AddressCounter(this, address)
    this.#addresses.set(address, counter)
    return counter
  }

  /** A connection has closed. */
  release(): void {
    this.#total--
  }

  /** The last connection of an address has closed. */
  forget(address: string): void {
    this.#addresses.delete(address)
  }

  /**
   * Takes a place of a user. Rejects with `FST_RT_USER_CAPACITY` if none is free. Returns undefined if there is no
   * limit per user.
   */
  takeForUser(user: string, holder: PlaceHolder, request: Pick<FastifyRequest, 'log'>): Promise<void> | undefined {
    if (this.#options.limits.perUser === Number.POSITIVE_INFINITY) return undefined
    return new Lease(this.#options, `user:${user}`, holder, new GuardedLog(request.log)).take()
  }
}

/** Listens for `close` of all streams. A closure for each of them would stay in memory as long as the connection. */
function releasePlace(this: Writable): void {
  const counter = (this as Placed)[kCounter] as Places | AddressCounter
  counter.release()
}

function capacityError(limit: string): Error {
  return withCause(new CapacityError(), new RefusalReason(`limits.connections.${limit} is reached`))
}

/** A place of a user. It is renewed while the connection is open. If this node dies, the place expires. */
class Lease implements Timed {
  readonly #options: PlacesOptions
  readonly #key: string
  readonly #holder: PlaceHolder
  readonly #log: Log
  wheelTick = -1

  constructor(options: PlacesOptions, key: string, holder: PlaceHolder, log: Log) {
    this.#options = options
    this.#key = key
    this.#holder = holder
    this.#log = log
  }

  async take(): Promise<void> {
    this.#holder.stream.on('close', () => this.#release())
    if (!(await this.#acquire())) {
      throw withCause(new UserCapacityError(), new RefusalReason('limits.connections.perUser is reached'))
    }
    // If the connection has ended meanwhile, the place was released before it was taken.
    if (this.#holder.stream.destroyed) this.#release()
    else this.#options.wheel.set(this, this.#nextRenewal())
  }

  onDue(): number {
    void this.#renew()
    return this.#nextRenewal()
  }

  #nextRenewal(): number {
    return this.#options.wheel.now() + LEASE.ttl / 3
  }

  /** If this node was blocked for longer than its leases last, its places may be taken by other connections. */
  async #renew(): Promise<void> {
    if (await this.#acquire()) return
    const { id, stream } = this.#holder
    this.#options.wheel.delete(this)
    this.#log.info({ connection: id }, 'connection closed: its user has no free place')
    if (!this.#options.evict(id)) stream.destroy()
  }

  /** Without the broker, connections cannot be counted. They are then admitted, since refusing all would be worse. */
  async #acquire(): Promise<boolean> {
    const { broker, limits } = this.#options
    try {
      return await broker.acquireLease(this.#key, this.#holder.id, limits.perUser, LEASE.ttl)
    } catch (error) {
      this.#failed(error)
      return true
    }
  }

  // Level debug: this happens for each connection every few seconds. The node logs that the broker is unavailable.
  #failed(err: unknown): void {
    this.#log.debug({ err }, 'per-user limit not enforced')
  }

  #release(): void {
    const { wheel, broker } = this.#options
    wheel.delete(this)
    broker.releaseLease(this.#key, this.#holder.id).catch((error) => this.#failed(error))
  }
}
