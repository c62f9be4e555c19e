// Others see a line grow in pieces: each is sent this long after it began, or with this many numbers.
const PIECE_TIME = 250
const PIECE_LENGTH = 400
// A point closer to the last one than this (in parts of the sheet) adds nothing visible.
const MIN_DISTANCE = 0.0012

/** The pens on the sheet: the mouse, a stylus, each finger, and the pen that keys move. */
export class Pens {
  #tool
  #wet
  #drawn
  /** @type {Set<Pen>} */
  #down = new Set()
  #isShowing = false

  /**
   * @param {object} options
   * @param {() => { colour: string, width: number }} options.tool colour and width of a new line
   * @param {(strokes: Iterable<object>) => void} options.wet shows the pieces that are being drawn
   * @param {(stroke: object) => void} options.drawn takes a finished piece
   */
  constructor({ tool, wet, drawn }) {
    this.#tool = tool
    this.#wet = wet
    this.#drawn = drawn
  }

  /** Puts a pen down. */
  down(x, y) {
    const pen = new Pen(this.#tool(), {
      drawn: this.#drawn,
      changed: () => this.#show(),
      lifted: () => this.#down.delete(pen)
    })
    this.#down.add(pen)
    pen.to(x, y)
    return pen
  }

  #show() {
    if (this.#isShowing) return
    this.#isShowing = true
    requestAnimationFrame(() => {
      this.#isShowing = false
      this.#wet(Array.from(this.#down, ({ stroke }) => stroke))
    })
  }
}

/** A pen that is down, and draws one line. */
class Pen {
  stroke
  #line = newId()
  #part = 0
  #timer = 0
  #listeners

  constructor(tool, listeners) {
    this.stroke = { id: `${this.#line}.0`, ...tool, points: [] }
    this.#listeners = listeners
  }

  /** Moves it to a place, from 0 to 1 across and down the sheet. */
  to(x, y) {
    const { points } = this.stroke
    if (points.length > 0 && Math.hypot(x - points.at(-2), y - points.at(-1)) < MIN_DISTANCE) return
    points.push(x, y)
    this.#timer ||= setTimeout(() => this.#finishPiece(), PIECE_TIME)
    if (points.length >= PIECE_LENGTH) this.#finishPiece()
    this.#listeners.changed()
  }

  lift() {
    // Without a timer it has nothing that was not in the piece before.
    if (this.#timer !== 0) this.#finishPiece()
    this.#listeners.lifted()
    this.#listeners.changed()
  }

  #finishPiece() {
    const { stroke } = this
    clearTimeout(this.#timer)
    this.#timer = 0
    // The next piece begins at the end of this one.
    this.stroke = { ...stroke, id: `${this.#line}.${++this.#part}`, points: stroke.points.slice(-2) }
    this.#listeners.drawn(stroke)
    this.#listeners.changed()
  }
}

// crypto.randomUUID() exists on https and localhost only.
export function newId() {
  return Array.from(crypto.getRandomValues(new Uint32Array(3)), (part) => part.toString(36)).join('')
}
