// Sent and not answered yet; more wait their turn, so that a long absence does not end in a flood.
const WINDOW = 50
const RETRY_AFTER = 500

/** @typedef {{ id: string, message: object, state: 'waiting' | 'flying' | 'sent' }} Entry */

/**
 * The messages to publish on a channel, in order, until they have come back from it. While there is no connection they
 * wait. Messages that may have been lost are sent again: the server adds no message twice, since it has an id.
 */
export class Outbox {
  /** @type {Map<string, Entry>} */
  #entries = new Map()
  #publish
  #refused
  #retryAfter
  #flying = 0
  #isOpen = false
  #timer = 0

  /**
   * @param {object} options
   * @param {(message: object) => Promise<unknown>} options.publish rejects with `code`, `message` and `temporary`
   * @param {(message: object, error: { code: number, message: string }) => void} options.refused for good
   * @param {number} [options.retryAfter] milliseconds after which a temporarily refused message is sent again
   */
  constructor({ publish, refused, retryAfter = RETRY_AFTER }) {
    this.#publish = publish
    this.#refused = refused
    this.#retryAfter = retryAfter
  }

  get size() {
    return this.#entries.size
  }

  /** @param {string} id @param {object} message */
  add(id, message) {
    this.#entries.set(id, { id, message, state: 'waiting' })
    this.#fill()
  }

  /** It has come back. */
  confirm(id) {
    this.#entries.delete(id)
  }

  /** There is a connection. */
  open() {
    this.#isOpen = true
    clearTimeout(this.#timer)
    this.#timer = 0
    this.#fill()
  }

  /** There is none. Messages in progress may have arrived or not. */
  close() {
    this.#isOpen = false
  }

  /** The channel was read again, and the messages here were not on it: all of them are sent again. */
  again() {
    for (const entry of this.#entries.values()) if (entry.state === 'sent') entry.state = 'waiting'
    this.#fill()
  }

  #fill() {
    if (!this.#isOpen || this.#timer !== 0) return
    for (const entry of this.#entries.values()) {
      if (this.#flying >= WINDOW) return
      if (entry.state === 'waiting') void this.#send(entry)
    }
  }

  async #send(entry) {
    entry.state = 'flying'
    this.#flying++
    try {
      await this.#publish(entry.message)
      entry.state = 'sent'
    } catch (error) {
      this.#failed(entry, error)
    }
    this.#flying--
    this.#fill()
  }

  #failed(entry, error) {
    entry.state = 'waiting'
    // From 100 on the server refused it, for now or for good; below, the client got no answer.
    if (error.code < 100 || error.temporary) this.#pause()
    else if (this.#entries.delete(entry.id)) this.#refused(entry.message, error)
  }

  #pause() {
    if (this.#timer !== 0) return
    this.#timer = setTimeout(() => {
      this.#timer = 0
      this.#fill()
    }, this.#retryAfter)
  }
}
