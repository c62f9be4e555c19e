const WINDOW = 1_000
const PATIENCE = 10_000
// A peer that is a percent over its limit is refused once in a while for as long as it lives: that is no abuse.
const ENOUGH = 3

/** Tells when a peer has run into a limit for 10 s on end: in each second of them it was refused three times or more. */
export class AbuseWatch {
  /** When the seconds of abuse began, and when the one under way did; milliseconds. */
  #since = 0
  #window = Number.NEGATIVE_INFINITY
  #refusals = 0

  /** Notes a refusal; true once the patience is at its end. */
  refused(now: number): boolean {
    if (now - this.#window >= WINDOW) this.#begin(now)
    this.#refusals++
    return this.#refusals >= ENOUGH && now - this.#since >= PATIENCE
  }

  #begin(now: number): void {
    const isInterrupted = this.#refusals < ENOUGH || now - this.#window >= 2 * WINDOW
    if (isInterrupted) this.#since = now
    this.#window = now
    this.#refusals = 0
  }
}
