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
