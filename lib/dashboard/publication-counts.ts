// Names in one period. Publications of further channels are not counted in it.
const MAX_CHANNELS = 20_000

/** Counts publications by channel, period after period. */
export class PublicationCounts {
  readonly #now: () => number
  #counts = new Map<string, number>()
  #since: number
  #last: { readonly counts: ReadonlyMap<string, number>; readonly seconds: number } | undefined

  /** @param now Milliseconds. */
  constructor(now: () => number) {
    this.#now = now
    this.#since = now()
  }

  note(channel: string): void {
    const count = this.#counts.get(channel)
    if (count !== undefined) this.#counts.set(channel, count + 1)
    else if (this.#counts.size < MAX_CHANNELS) this.#counts.set(channel, 1)
  }

  /** Ends the period and begins the next. */
  turn(): void {
    const now = this.#now()
    this.#last = { counts: this.#counts, seconds: Math.max(1, now - this.#since) / 1_000 }
    this.#counts = new Map()
    this.#since = now
  }

  /** Publications per second in the last period. Null if no period has ended. */
  rateOf(channel: string): number | null {
    if (this.#last === undefined) return null
    const { counts, seconds } = this.#last
    return Math.round(((counts.get(channel) ?? 0) / seconds) * 10) / 10
  }
}
