// Milliseconds. A message never takes so long: the clock of one of the two processes stood still.
const MAX_DELAY = 5_000
const MAX_NODES = 1_000

/**
 * Converts the times of other nodes to the clock of this one. Their clocks may be wrong. The message that took the
 * least time on its way shows how much a clock differs.
 */
export class NodeClocks {
  readonly #shifts = new Map<string, number>()

  /**
   * Milliseconds to add to the times of a node.
   * @param sentAt When the node sent the message, by its clock.
   * @param cameAt When the message came, by our clock.
   */
  shift(node: string, sentAt: number, cameAt: number): number {
    const difference = cameAt - sentAt
    const known = this.#shifts.get(node) ?? Number.POSITIVE_INFINITY
    const shift = difference < known || difference > known + MAX_DELAY ? difference : known
    // The most recently used last.
    this.#shifts.delete(node)
    this.#shifts.set(node, shift)
    const [oldest] = this.#shifts.keys()
    if (this.#shifts.size > MAX_NODES) this.#shifts.delete(oldest as string)
    return shift
  }
}
