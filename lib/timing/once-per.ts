/** Limits reports to one per interval. Each report has the number of events since the last one. */
export class OncePer {
  readonly #interval: number
  #reportAt = Number.NEGATIVE_INFINITY
  #unreported = 0

  /** @param interval Milliseconds. */
  constructor(interval: number) {
    this.#interval = interval
  }

  /** Counts an event. Returns the number of events since the last report if a report is due, and 0 otherwise. */
  count(now: number): number {
    this.#unreported++
    if (now < this.#reportAt) return 0
    this.#reportAt = now + this.#interval
    const times = this.#unreported
    this.#unreported = 0
    return times
  }
}

/** Limits reports to one per interval and name. At most `capacity` names are remembered; others are not reported. */
export class OncePerName {
  readonly #interval: number
  readonly #capacity: number
  /** The time at which each name may be reported again, the earliest first. */
  readonly #reportAt = new Map<string, number>()

  /** @param interval Milliseconds. */
  constructor(interval: number, capacity: number) {
    this.#interval = interval
    this.#capacity = capacity
  }

  /** True if the name may be reported now. */
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
