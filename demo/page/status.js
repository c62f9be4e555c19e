// How long the pill shows the result of a reconnect.
const NEWS_TIME = 5_000

const TEXTS = {
  connecting: () => 'Connecting',
  connected: () => 'Connected',
  reconnecting: (attempt) => `Reconnecting (attempt ${attempt})`,
  draining: () => 'Server restarting',
  offline: () => 'Offline',
  'signed-out': () => 'Signed out',
  closed: () => 'Disconnected'
}

/** The pill that shows the state of the connection, and for a while what was missed during a break. */
export class Status {
  #pill
  #button
  #timer = 0

  /** @param {{ pill: HTMLElement, button: HTMLElement }} elements */
  constructor({ pill, button }) {
    this.#pill = pill
    this.#button = button
  }

  /** @param {import('./connection.js').Connection} connection */
  show({ status, attempt }) {
    this.#forget()
    this.#pill.dataset.status = status
    this.#pill.textContent = TEXTS[status](attempt)
    this.#button.hidden = status !== 'signed-out' && status !== 'closed'
    this.#button.textContent = status === 'signed-out' ? 'Sign in again' : 'Connect again'
  }

  /** The board is complete again: with all missed strokes, or read again if they were not available. */
  tell(how, missed) {
    this.#forget()
    this.#pill.dataset.news = how
    this.#pill.textContent = how === 'reloaded' ? 'Board reloaded' : recoveredText(missed)
    this.#timer = setTimeout(() => {
      this.#forget()
      this.#pill.textContent = TEXTS.connected()
    }, NEWS_TIME)
  }

  #forget() {
    clearTimeout(this.#timer)
    delete this.#pill.dataset.news
  }
}

/** The text after a reconnect with this many strokes of others. */
export function recoveredText(missed) {
  if (missed === 0) return 'Recovered, no missed strokes'
  return `Recovered, ${missed} missed ${missed === 1 ? 'stroke' : 'strokes'}`
}
