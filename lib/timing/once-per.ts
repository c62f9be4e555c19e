/** Lets one report of many through in a time, with the number of those it stands for. */
export class OncePer {
  readonly #interval: number
  #reportAt = Number.NEGATIVE_INFINITY
  #unreported = 0

  /** @param interval Milliseconds. */
  constructor(interval: number) {
    this.#interval = interval
  }

  /** Counts one. Gives how many have come since the last report if it is time for the next, and 0 otherwise. */
  count(now: number): number {
    this.#unreported++
    if (now < this.#reportAt) return 0
    this.#reportAt = now + this.#interval
    const times = this.#unreported
    this.#unreported = 0
    return times
  }
}

/** The same for each of many names, of which so many are remembered: what is past that is not reported. */
export class OncePerName {
  readonly #interval: number
  readonly #capacity: number
  /** When each may be reported again, the next to be first. */
  readonly #reportAt = new Map<string, number>()

  /** @param interval Milliseconds. */
  constructor(interval: number, capacity: number) {
    this.#interval = interval
    this.#capacity = capacity
  }

  /** True if it is time to report that name. */
  isDue(name: string, now: number): boolean {
    for (const [old, reportAt] of this.#reportAt) {
      if (now < reportAt) break
      this.#reportAt.delete(old)
    }
    if (this.#reportAt.has(name) || this.#reportAt.size >= this.#capacity) return false
    this.#reportAt.set(name, now + this.#interval)
    return true
  }
}
