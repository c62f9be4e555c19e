import type { Duplex } from 'node:stream'
import type { Broker } from '../broker/broker.ts'
import { UserCapacityError } from '../errors.ts'
import type { Log } from '../input/guarded-log.ts'
import type { Timed, TimerWheel } from '../timing/timer-wheel.ts'
import { because, RefusalReason } from './refusal-reason.ts'

export interface LeaseOptions {
  readonly broker: Broker
  readonly wheel: TimerWheel
  /** Closes the connection, because its user has too many. False if it is not open. */
  evict(connection: string): boolean
}

export interface LeaseHolder {
  readonly id: string
  readonly stream: Duplex
}

const FULL = 'limits.connections.perUser is reached'

/** How long a place outlives the node that took it, in milliseconds. The tests have less time. */
export const LEASE = { ttl: 30_000 }

/** One of a user's places, over all nodes: renewed while the connection lives, gone by itself if this node dies. */
export class Lease implements Timed {
  readonly #options: LeaseOptions
  readonly #key: string
  readonly #handshake: LeaseHolder
  readonly #limit: number
  readonly #log: Log
  wheelTick = -1

  constructor(options: LeaseOptions, key: string, handshake: LeaseHolder, limit: number, log: Log) {
    this.#options = options
    this.#key = key
    this.#handshake = handshake
    this.#limit = limit
    this.#log = log
  }

  async take(): Promise<void> {
    this.#handshake.stream.once('close', () => this.#release())
    if (!(await this.#acquire())) throw because(new UserCapacityError(), new RefusalReason(FULL))
    // Gone meanwhile: what was just taken is given back.
    if (this.#handshake.stream.destroyed) this.#release()
    else this.#schedule()
  }

  onDue(): number {
    void this.#renew()
    return this.#options.wheel.now() + LEASE.ttl / 3
  }

  /** A node that stood still for longer than its leases lost its places, and others may have taken them since. */
  async #renew(): Promise<void> {
    if (await this.#acquire()) return
    this.#options.wheel.delete(this)
    this.#log.info({ connection: this.#handshake.id }, 'connection closed: its place was lost and is taken')
    if (!this.#options.evict(this.#handshake.id)) this.#handshake.stream.destroy()
  }

  /** Without a broker nobody can be counted: a limit that locks everybody out would be worse than none. */
  async #acquire(): Promise<boolean> {
    const { broker } = this.#options
    try {
      return await broker.acquireLease(this.#key, this.#handshake.id, this.#limit, LEASE.ttl)
    } catch (error) {
      this.#failed(error)
      return true
    }
  }

  // Once for each connection, every few seconds: that the broker is away is logged where it is noticed.
  #failed(err: unknown): void {
    this.#log.debug({ err }, 'per-user limit not enforced')
  }

  #schedule(): void {
    this.#options.wheel.set(this, this.#options.wheel.now() + LEASE.ttl / 3)
  }

  #release(): void {
    this.#options.wheel.delete(this)
    this.#options.broker.releaseLease(this.#key, this.#handshake.id).catch((error) => this.#failed(error))
  }
}
