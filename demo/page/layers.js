// A line that did not change for this long is finished.
const SETTLED_AFTER = 1_500
// If more lines are new at once, as when a board is opened, all but the last of them are finished.
const MAX_GROWING = 24

/**
 * Decides which runs of a board are drawn once, and which of them with every frame. A run that changes is another
 * object, and all before it must be settled first, since the later run covers the earlier.
 */
export class Layers {
  /** The runs of the settled picture, in this order. @type {object[]} */
  #settled = []
  /** When a run was seen first. @type {WeakMap<object, number>} */
  #since = new WeakMap()

  /** The settled picture is out of date. */
  forget() {
    this.#settled = []
  }

  /**
   * @template Run
   * @param {Run[]} runs all that are to be seen, the topmost last
   * @param {number} now milliseconds
   * @returns {{ isNew: boolean, settled: Run[], growing: Run[] }} `settled` are to be added to the settled picture,
   *   which begins again if `isNew`
   */
  take(runs, now) {
    const isNew = this.#settled.length === 0 || this.#settled.some((run, at) => run !== runs[at])
    if (isNew) this.#settled = []
    for (const run of runs) if (!this.#since.has(run)) this.#since.set(run, now)
    const from = this.#settled.length
    let to = from
    while (to < runs.length && this.#isSettled(runs[to], runs.length - to, now)) to++
    const settled = runs.slice(from, to)
    this.#settled.push(...settled)
    return { isNew, settled, growing: runs.slice(to) }
  }

  #isSettled(run, left, now) {
    return left > MAX_GROWING || now - (this.#since.get(run) ?? now) >= SETTLED_AFTER
  }
}
