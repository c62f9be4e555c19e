import type { Broker, PresenceEntry } from '../broker/broker.ts'
import type { Limiter } from '../timing/limiter.ts'
import type { Timed, TimerWheel } from '../timing/timer-wheel.ts'

export interface PresenceKeeperOptions {
  readonly broker: Broker
  readonly wheel: TimerWheel
  readonly limiter: Limiter
  failed(stage: string, error: unknown): void
}

/** Who causes joins and leaves to be sent. */
export interface Announcer {
  /** Called before each join or leave is sent. */
  announcing(info: Buffer): void
}

export interface KeptEntryOptions {
  readonly channel: string
  readonly entry: PresenceEntry
  /** Milliseconds after which the broker drops an entry that is not refreshed; undefined for a channel without presence. */
  readonly ttl: number | undefined
  /** Whether the channel's subscribers are sent joins and leaves. */
  readonly joinLeave: boolean
  readonly announcer?: Announcer
}

// An entry is refreshed so many times within its life: one refresh may fail.
const REFRESHES = 3

/** Keeps this node's presence entries in the broker for as long as their subscriptions last. */
export class PresenceKeeper {
  readonly #options: PresenceKeeperOptions
  /** The latest call that is under way for each connection and channel. It settles after those before it. */
  readonly #calls = new Map<string, Promise<void>>()

  constructor(options: PresenceKeeperOptions) {
    this.#options = options
  }

  /** Makes the entry of one subscription. `add()` adds it. */
  keep(options: KeptEntryOptions): KeptEntry {
    return new KeptEntry(options, this.#options, this.#calls)
  }

  /** Resolves once the calls to the broker that were under way are done. */
  async settled(): Promise<void> {
    await Promise.all(this.#calls.values())
  }
}

/** One subscription's presence entry. The broker is called for it in order: a leave never overtakes its join. */
export class KeptEntry implements Timed {
  // Its members stand side by side, and what belongs to a call is there during the call: each subscriber has an entry.
  readonly #keeper: PresenceKeeperOptions
  readonly #calls: Map<string, Promise<void>>
  readonly #channel: string
  readonly #entry: PresenceEntry
  readonly #ttl: number | undefined
  readonly #joinLeave: boolean
  readonly #announcer: Announcer | undefined
  #isAdded = false
  #isAnnounced = false
  #isRemoved = false
  wheelTick = -1

  /** @param calls The latest call that is under way for each connection and channel. */
  constructor(
    { channel, entry, ttl, joinLeave, announcer }: KeptEntryOptions,
    keeper: PresenceKeeperOptions,
    calls: Map<string, Promise<void>>
  ) {
    this.#keeper = keeper
    this.#calls = calls
    this.#channel = channel
    this.#entry = entry
    this.#ttl = ttl
    this.#joinLeave = joinLeave
    this.#announcer = announcer
  }

  /** Adds the entry. Rejects if the broker cannot. */
  async add(): Promise<void> {
    const ttl = this.#ttl
    if (ttl === undefined) return
    this.#isAdded = true
    const { broker, wheel } = this.#keeper
    await this.#call(() => broker.addPresence(this.#channel, this.#entry, ttl))
    if (!this.#isRemoved) wheel.set(this, wheel.now() + ttl / REFRESHES)
  }

  /** The subscription is made: sends the join. */
  announce(): void {
    if (!this.#joinLeave || this.#isAnnounced || this.#isRemoved) return
    this.#isAnnounced = true
    this.#send('join')
  }

  /** The subscription has ended: removes the entry, and sends the leave if the join was sent. */
  remove(): void {
    if (this.#isRemoved) return
    this.#isRemoved = true
    const { broker, wheel } = this.#keeper
    wheel.delete(this)
    if (this.#isAdded) this.#queue(() => broker.removePresence(this.#channel, this.#entry.connection))
    if (this.#isAnnounced) this.#send('leave')
  }

  /** The wheel calls this when the entry has to be refreshed. */
  onDue(now: number): number {
    const ttl = this.#ttl as number
    this.#queue(() => this.#keeper.broker.addPresence(this.#channel, this.#entry, ttl))
    return now + ttl / REFRESHES
  }

  #send(kind: 'join' | 'leave'): void {
    this.#announcer?.announcing(this.#entry.info)
    this.#queue(() => this.#keeper.broker.publishPresence(this.#channel, kind, this.#entry.info))
  }

  /** Calls the broker, without anybody who waits for it. */
  #queue(job: () => Promise<void>): void {
    this.#call(job).catch((error) => this.#keeper.failed('presence', error))
  }

  /**
   * Calls the broker once the calls before are done, whether they have succeeded or not. They may be those of the entry
   * that the connection had on the channel before: one that is removed and added again must not be removed last.
   */
  #call(job: () => Promise<void>): Promise<void> {
    const name = `${this.#entry.connection}\n${this.#channel}`
    const before = this.#calls.get(name)
    const run = () => this.#keeper.limiter.run(job)
    const call = before === undefined ? run() : before.then(run)
    const settled: Promise<void> = call
      .catch(() => undefined)
      .then(() => {
        if (this.#calls.get(name) === settled) this.#calls.delete(name)
      })
    this.#calls.set(name, settled)
    return call
  }
}
