const SPOKES = 16

/**
 * Names channels to be audited: each once in a period, a sixteenth of them at a time, so that a node with many
 * channels asks Redis evenly. One timer for all.
 */
export class RedisAudits {
  readonly #period: readonly [least: number, most: number]
  readonly #audit: (channels: Iterable<string>) => void
  readonly #wheel = Array.from({ length: SPOKES }, () => new Set<string>())
  readonly #spokes = new Map<string, Set<string>>()
  #next = 0
  #timer: NodeJS.Timeout | undefined

  constructor(period: readonly [least: number, most: number], audit: (channels: Iterable<string>) => void) {
    this.#period = period
    this.#audit = audit
  }

  get channels(): Iterable<string> {
    return this.#spokes.keys()
  }

  start(): void {
    const [least, most] = this.#period
    const wait = (least + Math.random() * (most - least)) / SPOKES
    this.#timer = setTimeout(() => this.#turn(), wait).unref()
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  add(channel: string): void {
    this.delete(channel)
    const spoke = this.#wheel[Math.floor(Math.random() * SPOKES)] as Set<string>
    this.#spokes.set(channel, spoke)
    spoke.add(channel)
  }

  delete(channel: string): void {
    this.#spokes.get(channel)?.delete(channel)
    this.#spokes.delete(channel)
  }

  #turn(): void {
    const due = this.#wheel[this.#next] as Set<string>
    this.#next = (this.#next + 1) % SPOKES
    if (due.size > 0) this.#audit(due)
    this.start()
  }
}
