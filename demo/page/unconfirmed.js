// Sent and not yet seen again; more wait their turn, so that a long absence doesn't end in a flood.
const WINDOW = 50

/**
 * Strokes that the board has not confirmed by publishing them. After a reconnect they are sent again: one that did
 * arrive then comes twice, and is known by its id.
 */
export class Unconfirmed {
  /** @type {Map<string, { id: string }>} */
  #strokes = new Map()
  #sent = new Set()
  #send

  /** @param {(stroke: object) => boolean} send says whether it left */
  constructor(send) {
    this.#send = send
  }

  get size() {
    return this.#strokes.size
  }

  add(stroke) {
    this.#strokes.set(stroke.id, stroke)
    this.#fill()
  }

  confirm(id) {
    this.#strokes.delete(id)
    this.#sent.delete(id)
    this.#fill()
  }

  /** Sends all of them once more. */
  resend() {
    this.#sent.clear()
    this.#fill()
  }

  #fill() {
    for (const [id, stroke] of this.#strokes) {
      if (this.#sent.size >= WINDOW) return
      if (this.#sent.has(id)) continue
      if (!this.#send(stroke)) return
      this.#sent.add(id)
    }
  }
}
