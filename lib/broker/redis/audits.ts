const SLOTS = 16

/**
 * Schedules the regular audits of all channels: each channel once in a period, about a sixteenth of them at a time. So
 * the load on Redis is even if a node has many channels. One timer serves all channels.
 */
export class RedisAudits {
  readonly #period: readonly [min: number, max: number]
  readonly #audit: (channels: Iterable<string>) => void
  readonly #slots = Array.from({ length: SLOTS }, () => new Set<string>())
  readonly #slotOf = new Map<string, Set<string>>()
  #next = 0
  #timer: NodeJS.Timeout | undefined

  constructor(period: readonly [min: number, max: number], audit: (channels: Iterable<string>) => void) {
    this.#period = period
    this.#audit = audit
  }

  get channels(): Iterable<string> {
    return this.#slotOf.keys()
  }

  start(): void {
    const [min, max] = this.#period
    const wait = (min + Math.random() * (max - min)) / SLOTS
    this.#timer = setTimeout(() => this.#auditNext(), wait).unref()
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  add(channel: string): void {
    this.delete(channel)
    const slot = this.#slots[Math.floor(Math.random() * SLOTS)] as Set<string>
    this.#slotOf.set(channel, slot)
    slot.add(channel)
  }

  delete(channel: string): void {
    this.#slotOf.get(channel)?.delete(channel)
    this.#slotOf.delete(channel)
  }

  #auditNext(): void {
    const due = this.#slots[this.#next] as Set<string>
    this.#next = (this.#next + 1) % SLOTS
    if (due.size > 0) this.#audit(due)
    this.start()
  }
}
