import { mayPlay } from './guide.js'

// This board can only be looked at.
const MUSEUM = 'museum'
const NOTE_TIME = 5_000
const PLAYS = 'A second client draws this. Draw, and it stops.'
const STOPS = 'Your turn.'

/** Starts the guide for a visitor who has not acted yet, and stops it at the first act of the visitor. */
export class Host {
  #guide
  #note
  #button
  #timer = 0
  #board

  /**
   * @param {object} options
   * @param {import('./guide.js').Guide} options.guide
   * @param {HTMLElement} options.note says what is going on
   * @param {HTMLButtonElement} options.button lets the guide draw
   * @param {() => string} options.board the name of the board
   */
  constructor({ guide, note, button, board }) {
    this.#guide = guide
    this.#note = note
    this.#button = button
    this.#board = board
    button.addEventListener('click', () => void this.#play())
    for (const type of ['pointerdown', 'keydown']) {
      document.addEventListener(type, (event) => this.#stop(event), { capture: true })
    }
  }

  get isPlaying() {
    return this.#guide.isPlaying
  }

  /** The board is complete. */
  welcome({ lines, clients, self }) {
    if (this.#board() === MUSEUM || !mayPlay({ lines, clients, self })) return
    // It is moving of its own: visitors who asked for less of that start it themselves.
    if (matchMedia('(prefers-reduced-motion: reduce)').matches) this.#button.hidden = false
    else void this.#play()
  }

  async #play() {
    this.#button.hidden = true
    this.#say(PLAYS)
    try {
      await this.#guide.play(this.#board())
    } catch {
      // No second connection, no guide. The visitor's own connection shows its state.
      this.#guide.leave()
    }
    if (!this.#guide.isPlaying && this.#note.textContent === PLAYS) this.#say('')
  }

  #stop(event) {
    if (!this.#guide.isPlaying || event.target === this.#button) return
    void this.#guide.bow()
    this.#say(STOPS)
    this.#timer = setTimeout(() => this.#say(''), NOTE_TIME)
  }

  #say(text) {
    clearTimeout(this.#timer)
    this.#note.textContent = text
  }
}
