import type { Broker, PresenceEntry } from '../broker/broker.ts'
import type { Limiter } from '../timing/limiter.ts'
import type { Timed, TimerWheel } from '../timing/timer-wheel.ts'

export interface PresenceKeeperOptions {
  readonly broker: Broker
  readonly wheel: TimerWheel
  readonly limiter: Limiter
  failed(stage: string, error: unknown): void
}

/** The subscription that causes joins and leaves to be sent. */
export interface Announcer {
  /** Called before each join or leave is sent. */
  announcing(info: Buffer): void
}

export interface KeptEntryOptions {
  readonly channel: string
  readonly entry: PresenceEntry
  /** Milliseconds until the broker deletes an entry that is not refreshed. Undefined for a channel without presence. */
  readonly ttl: number | undefined
  /** Whether joins and leaves are sent to the channel's subscribers. */
  readonly joinLeave: boolean
  readonly announcer?: Announcer
}

// How often an entry is refreshed within its time to live. So one refresh may fail.
const REFRESHES = 3

/** Keeps this node's presence entries in the broker for as long as their subscriptions last. */
export class PresenceKeeper {
  readonly #options: PresenceKeeperOptions
  /** The latest running call for each connection and channel. It settles after the calls before it. */
  readonly #calls = new Map<string, Promise<void>>()

  constructor(options: PresenceKeeperOptions) {
    this.#options = options
  }

  /** Makes the entry of one subscription. `add()` adds it. */
  keep(options: KeptEntryOptions): KeptEntry {
    return new KeptEntry(options, this.#options, this.#calls)
  }

  /** Resolves once the running calls to the broker are done. */
  async settled(): Promise<void> {
    await Promise.all(this.#calls.values())
  }
}

/** One subscription's presence entry. The calls to the broker are made in order: a leave never overtakes its join. */
export class KeptEntry implements Timed {
  // There is one entry for each subscriber. To save memory, its fields are not in an object of their own, and no
  // closure is kept after a call.
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

  /** @param calls The latest running call for each connection and channel. */
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

  /** Adds the entry. Rejects if the broker's call fails. */
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

  /** The wheel calls this to refresh the entry. */
  onDue(now: number): number {
    const ttl = this.#ttl as number
    this.#queue(() => this.#keeper.broker.addPresence(this.#channel, this.#entry, ttl))
    return now + ttl / REFRESHES
  }

  #send(kind: 'join' | 'leave'): void {
    this.#announcer?.announcing(this.#entry.info)
    this.#queue(() => this.#keeper.broker.publishPresence(this.#channel, kind, this.#entry.info))
  }

  /** Calls the broker. No caller waits for it, so an error is reported. */
  #queue(job: () => Promise<void>): void {
    this.#call(job).catch((error) => this.#keeper.failed('presence', error))
  }

  /**
   * Calls the broker once the earlier calls for this connection and channel are done, also if one has failed. The
   * earlier calls may be those of a former entry: if an entry is removed and added again, the removal must not come
   * last.
   */
  #call(job: () => Promise<void>): Promise<void> {
    const name = `${this.#entry.connection}\n${this.#channel}`
    const previous = this.#calls.get(name)
    const run = () => this.#keeper.limiter.run(job)
    const call = previous === undefined ? run() : previous.then(run)
    const settled: Promise<void> = call
      .catch(() => undefined)
      .then(() => {
        if (this.#calls.get(name) === settled) this.#calls.delete(name)
      })
    this.#calls.set(name, settled)
    return call
  }
}
