import type { Broker, PresenceEntry } from '../broker/broker.ts'
import type { Limiter } from '../timing/limiter.ts'
import type { Timed, TimerWheel } from '../timing/timer-wheel.ts'

export interface PresenceKeeperOptions {
  readonly broker: Broker
  readonly wheel: TimerWheel
  readonly limiter: Limiter
  failed(stage: string, error: unknown): void
}

export interface KeptEntryOptions {
  readonly channel: string
  readonly entry: PresenceEntry
  /** Milliseconds after which the broker drops an entry that is not refreshed; undefined if there is no presence. */
  readonly ttl: number | undefined
  /** Whether the channel's subscribers are sent joins and leaves. */
  readonly joinLeave: boolean
  /** Called before each join or leave that is sent. */
  announcing?(): void
}

// An entry is refreshed so many times within its life: one refresh may fail.
const REFRESHES = 3

/** Keeps this node's presence entries in the broker for as long as their subscriptions last. */
export class PresenceKeeper {
  readonly #options: PresenceKeeperOptions
  readonly #pending = new Set<Promise<void>>()
  /** Calls under way, by connection and channel: if an entry is removed and added again, that must be the order. */
  readonly #latest = new Map<string, Promise<void>>()

  constructor(options: PresenceKeeperOptions) {
    this.#options = options
  }

  /** Makes the entry of one subscription. `add()` adds it. */
  keep(options: KeptEntryOptions): KeptEntry {
    const name = `${options.entry.connection}\n${options.channel}`
    return new KeptEntry(options, this.#options, this.#latest.get(name), (pending) => this.#track(name, pending))
  }

  /** Resolves once the calls to the broker that were under way are done. */
  async settled(): Promise<void> {
    await Promise.all(this.#pending)
  }

  #track(name: string, pending: Promise<void>): void {
    this.#pending.add(pending)
    this.#latest.set(name, pending)
    void pending.then(() => {
      this.#pending.delete(pending)
      if (this.#latest.get(name) === pending) this.#latest.delete(name)
    })
  }
}

/** One subscription's presence entry. The broker is called for it in order: a leave never overtakes its join. */
export class KeptEntry implements Timed {
  readonly #options: KeptEntryOptions
  readonly #keeper: PresenceKeeperOptions
  readonly #before: Promise<void> | undefined
  readonly #track: (pending: Promise<void>) => void
  #tail: Promise<void> = Promise.resolve()
  #added = false
  #announced = false
  #removed = false
  wheelTick = -1

  /** @param before Calls that are still under way for the connection's previous entry on this channel. */
  constructor(
    options: KeptEntryOptions,
    keeper: PresenceKeeperOptions,
    before: Promise<void> | undefined,
    track: (pending: Promise<void>) => void
  ) {
    this.#before = before
    this.#options = options
    this.#keeper = keeper
    this.#track = track
  }

  /** Adds the entry. Rejects if the broker cannot. */
  async add(): Promise<void> {
    const { channel, entry, ttl } = this.#options
    if (ttl === undefined) return
    this.#added = true
    const { broker, limiter } = this.#keeper
    const add = () => limiter.run(() => broker.addPresence(channel, entry, ttl))
    const added = this.#before === undefined ? add() : this.#before.then(add)
    // Later calls wait for it, whether it succeeds or not.
    this.#tail = added.catch(() => undefined)
    await added
    if (!this.#removed) this.#keeper.wheel.set(this, this.#keeper.wheel.now() + ttl / REFRESHES)
  }

  /** The subscription is made: sends the join. */
  announce(): void {
    if (!this.#options.joinLeave || this.#announced || this.#removed) return
    this.#announced = true
    this.#send('join')
  }

  /** The subscription has ended: removes the entry, and sends the leave if the join was sent. */
  remove(): void {
    if (this.#removed) return
    this.#removed = true
    const { broker, wheel } = this.#keeper
    const { channel, entry } = this.#options
    wheel.delete(this)
    if (this.#added) this.#queue(() => broker.removePresence(channel, entry.connection))
    if (this.#announced) this.#send('leave')
  }

  /** The wheel calls this when the entry has to be refreshed. */
  onDue(now: number): number {
    const { channel, entry, ttl } = this.#options
    this.#queue(() => this.#keeper.broker.addPresence(channel, entry, ttl as number))
    return now + (ttl as number) / REFRESHES
  }

  #send(kind: 'join' | 'leave'): void {
    const { channel, entry, announcing } = this.#options
    announcing?.()
    this.#queue(() => this.#keeper.broker.publishPresence(channel, kind, entry.info))
  }

  #queue(job: () => Promise<void>): void {
    const { limiter } = this.#keeper
    this.#tail = this.#tail.then(() => limiter.run(job)).catch((error) => this.#keeper.failed('presence', error))
    this.#track(this.#tail)
  }
}
