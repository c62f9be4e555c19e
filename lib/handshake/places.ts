import type { Duplex } from 'node:stream'
import type { FastifyRequest } from 'fastify'
import type { Broker } from '../broker/broker.ts'
import { CapacityError, UserCapacityError } from '../errors.ts'
import { GuardedLog, type Log } from '../input/guarded-log.ts'
import type { Timed, TimerWheel } from '../timing/timer-wheel.ts'
import { addressKey } from './address.ts'
import { because, RefusalReason } from './refusal-reason.ts'

export interface PlacesOptions {
  readonly broker: Broker
  readonly wheel: TimerWheel
  readonly limits: { readonly total: number; readonly perAddress: number; readonly perUser: number }
  /** Closes a connection that has lost its place. False if it is not open. */
  evict(connection: string): boolean
}

/** The handshake, and later the connection, that has a place. */
export interface PlaceHolder {
  readonly id: string
  readonly stream: Duplex
}

/** How long, in milliseconds, a user's place outlives the node that took it. Tests shorten it. */
export const LEASE = { ttl: 30_000 }

/**
 * The places for connections: in total and per remote address on this node, per user over all nodes. A place is held by
 * the raw stream and given back on its `close`: if `ws` refuses after the hooks, or the peer resets, no Fastify hook runs.
 */
export class Places {
  readonly #options: PlacesOptions
  readonly #addresses = new Map<string, number>()
  #total = 0

  constructor(options: PlacesOptions) {
    this.#options = options
  }

  /**
   * Takes a place on this node. Throws `FST_RT_CAPACITY` if there is none. The address is looked up only if addresses
   * are counted.
   */
  take({ stream }: PlaceHolder, request: Pick<FastifyRequest, 'ip'>): void {
    const { total, perAddress } = this.#options.limits
    if (this.#total >= total) throw full('total')
    const ip: string | undefined = perAddress === Number.POSITIVE_INFINITY ? undefined : request.ip
    const address = ip === undefined ? undefined : addressKey(ip)
    const ofAddress = (address !== undefined && this.#addresses.get(address)) || 0
    if (ofAddress >= perAddress) throw full('perAddress')
    this.#total++
    if (address !== undefined) this.#addresses.set(address, ofAddress + 1)
    stream.once('close', () => this.#giveBack(address))
  }

  #giveBack(address: string | undefined): void {
    this.#total--
    if (address === undefined) return
    const left = (this.#addresses.get(address) as number) - 1
    if (left === 0) this.#addresses.delete(address)
    else this.#addresses.set(address, left)
  }

  /**
   * Takes one of a user's places. Rejects with `FST_RT_USER_CAPACITY` if there is none; undefined if users are not
   * counted.
   */
  takeOf(user: string, holder: PlaceHolder, request: Pick<FastifyRequest, 'log'>): Promise<void> | undefined {
    if (this.#options.limits.perUser === Number.POSITIVE_INFINITY) return undefined
    return new Lease(this.#options, `user:${user}`, holder, new GuardedLog(request.log)).take()
  }
}

function full(limit: string): Error {
  return because(new CapacityError(), new RefusalReason(`limits.connections.${limit} is reached`))
}

/** One of a user's places: renewed while the connection lives. If this node dies, the place expires. */
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
    this.#holder.stream.once('close', () => this.#release())
    if (!(await this.#acquire())) {
      throw because(new UserCapacityError(), new RefusalReason('limits.connections.perUser is reached'))
    }
    // The connection has ended meanwhile: the place was released before it was taken.
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

  /** A node that stood still for longer than its leases last has lost its places, and others may have taken them. */
  async #renew(): Promise<void> {
    if (await this.#acquire()) return
    const { id, stream } = this.#holder
    this.#options.wheel.delete(this)
    this.#log.info({ connection: id }, 'connection closed: its place was lost and is taken')
    if (!this.#options.evict(id)) stream.destroy()
  }

  /** While the broker is away nobody can be counted. A limit that locks everybody out would be worse than none. */
  async #acquire(): Promise<boolean> {
    const { broker, limits } = this.#options
    try {
      return await broker.acquireLease(this.#key, this.#holder.id, limits.perUser, LEASE.ttl)
    } catch (error) {
      this.#failed(error)
      return true
    }
  }

  // Once for each connection, every few seconds. The broker's absence itself is logged by the broker.
  #failed(err: unknown): void {
    this.#log.debug({ err }, 'per-user limit not enforced')
  }

  #release(): void {
    const { wheel, broker } = this.#options
    wheel.delete(this)
    broker.releaseLease(this.#key, this.#holder.id).catch((error) => this.#failed(error))
  }
}
