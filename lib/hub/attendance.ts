import type { Broker, PresenceEntry } from '../broker/broker.ts'
import type { Limiter } from '../timing/limiter.ts'
import type { Timed, TimerWheel } from '../timing/timer-wheel.ts'

export interface PresenceParts {
  readonly broker: Broker
  readonly wheel: TimerWheel
  readonly limiter: Limiter
  failed(stage: string, error: unknown): void
}

export interface AttendanceOptions {
  readonly channel: string
  readonly entry: PresenceEntry
  /** Milliseconds after which the entry is gone unless refreshed; undefined for a channel without presence. */
  readonly ttl: number | undefined
  /** Whether the others are told. */
  readonly joinLeave: boolean
  /** They are. */
  told?(): void
}

// An entry is refreshed so many times within its life: one refresh may fail.
const REFRESHES = 3

/** Who is on which channel, as this node tells the others. */
export class Presence {
  readonly #options: PresenceParts
  readonly #pending = new Set<Promise<void>>()
  /** What is under way, by connection and channel: one that leaves and comes back must not be removed afterwards. */
  readonly #latest = new Map<string, Promise<void>>()

  constructor(options: PresenceParts) {
    this.#options = options
  }

  attendance(options: AttendanceOptions): Attendance {
    const name = `${options.entry.connection}\n${options.channel}`
    return new Attendance(options, this.#options, this.#latest.get(name), (pending) => this.#track(name, pending))
  }

  /** Resolves once what was under way is done: entries removed, the others told. */
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

/** One subscription's presence on its channel. What is done for it is done in order, so that nobody leaves first. */
export class Attendance implements Timed {
  readonly #options: AttendanceOptions
  readonly #node: PresenceParts
  readonly #before: Promise<void> | undefined
  readonly #track: (pending: Promise<void>) => void
  #tail: Promise<void> = Promise.resolve()
  #entered = false
  #joined = false
  #left = false
  wheelTick = -1

  /** @param before What the connection's last presence on the channel has yet to do. */
  constructor(
    options: AttendanceOptions,
    node: PresenceParts,
    before: Promise<void> | undefined,
    track: (pending: Promise<void>) => void
  ) {
    this.#before = before
    this.#options = options
    this.#node = node
    this.#track = track
  }

  /** Adds the entry. Rejects where the broker can't. */
  async enter(): Promise<void> {
    const { channel, entry, ttl } = this.#options
    if (ttl === undefined) return
    this.#entered = true
    const { broker, limiter } = this.#node
    const add = () => limiter.run(() => broker.addPresence(channel, entry, ttl))
    const added = this.#before === undefined ? add() : this.#before.then(add)
    // What comes after waits for it, whether it succeeds or not.
    this.#tail = added.catch(() => undefined)
    await added
    if (!this.#left) this.#node.wheel.set(this, this.#node.wheel.now() + ttl / REFRESHES)
  }

  /** The subscription is made: tells the others. */
  join(): void {
    if (!this.#options.joinLeave || this.#joined || this.#left) return
    this.#joined = true
    this.#tell('join')
  }

  /** The subscription has ended: removes the entry, and tells the others. */
  leave(): void {
    if (this.#left) return
    this.#left = true
    const { broker, wheel } = this.#node
    const { channel, entry } = this.#options
    wheel.delete(this)
    if (this.#entered) this.#queue(() => broker.removePresence(channel, entry.connection))
    if (this.#joined) this.#tell('leave')
  }

  onDue(now: number): number {
    const { channel, entry, ttl } = this.#options
    this.#queue(() => this.#node.broker.addPresence(channel, entry, ttl as number))
    return now + (ttl as number) / REFRESHES
  }

  #tell(kind: 'join' | 'leave'): void {
    const { channel, entry, told } = this.#options
    told?.()
    this.#queue(() => this.#node.broker.publishPresence(channel, kind, entry.info))
  }

  #queue(job: () => Promise<void>): void {
    const { limiter } = this.#node
    this.#tail = this.#tail.then(() => limiter.run(job)).catch((error) => this.#node.failed('presence', error))
    this.#track(this.#tail)
  }
}
