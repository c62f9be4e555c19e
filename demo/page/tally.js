/**
 * Counts the marks that a page publishes on a channel and gets back from it.
 *
 * - lost: marks that were made and are not on the channel.
 * - duplicated: marks that arrived more than once, counted without the first time.
 * - gap: the longest time without a mark, less the interval at which they are made. It counts from the first mark made
 *   to the last that arrived.
 *
 * If the channel had to be read again (after `reset`), the marks that arrive from then on are all that is on it:
 * earlier marks that do not arrive again are lost.
 */
export class Tally {
  #interval
  /** How often each mark arrived, of those that were made. @type {Map<string, number>} */
  #marks = new Map()
  #lastArrival
  #gap = 0

  /** @param {number} interval milliseconds from one mark to the next */
  constructor(interval) {
    this.#interval = interval
  }

  /** @param {string} mark @param {number} now milliseconds */
  made(mark, now) {
    this.#marks.set(mark, 0)
    this.#lastArrival ??= now
  }

  arrived(mark, now) {
    const times = this.#marks.get(mark)
    if (times === undefined) return
    this.#marks.set(mark, times + 1)
    this.#gap = Math.max(this.#gap, now - this.#lastArrival - this.#interval)
    this.#lastArrival = now
  }

  /** Forgets the marks that arrived: all of them come again. */
  reset() {
    for (const mark of this.#marks.keys()) this.#marks.set(mark, 0)
  }

  get count() {
    return this.#marks.size
  }

  get lost() {
    return [...this.#marks.values()].filter((times) => times === 0).length
  }

  get duplicated() {
    return [...this.#marks.values()].reduce((sum, times) => sum + Math.max(0, times - 1), 0)
  }

  get gap() {
    return this.#gap
  }
}
