// Others see a line grow in pieces: each is sent this long after it began, or with this many numbers.
const PIECE_TIME = 250
const PIECE_LENGTH = 400
// A point closer to the last one than this (in parts of the sheet, if all of it is shown) adds nothing visible.
const MIN_DISTANCE = 0.0012
// As much of a line as is drawn anew with each frame; of the rest the pieces are on the board.
const MAX_TRAIL = 1_200

/** The pens on the sheet: the mouse, a stylus, each finger, and the pen that keys move. */
export class Pens {
  #tool
  #wet
  #drawn
  #zoom
  #pieceTime
  /** @type {Set<Pen>} */
  #down = new Set()
  #isShowing = false

  /**
   * @param {object} options
   * @param {() => { colour: string, width: number }} options.tool colour and width of a new line
   * @param {(lines: object[]) => void} options.wet shows the lines that are being drawn
   * @param {(stroke: object) => void} options.drawn takes a finished piece
   * @param {() => number} [options.zoom] how large the board is shown
   * @param {number} [options.pieceTime] milliseconds after which a piece is finished
   */
  constructor({ tool, wet, drawn, zoom = () => 1, pieceTime = PIECE_TIME }) {
    this.#tool = tool
    this.#wet = wet
    this.#drawn = drawn
    this.#zoom = zoom
    this.#pieceTime = pieceTime
  }

  /** Puts a pen down. */
  down(x, y) {
    const pen = new Pen(this.#tool(), {
      pieceTime: this.#pieceTime,
      nearest: () => MIN_DISTANCE / this.#zoom(),
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
      this.#wet(Array.from(this.#down, ({ trail }) => trail))
    })
  }
}

/** A pen that is down, and draws one line. */
class Pen {
  /** What is shown of the line until its pieces are on the board. */
  trail
  #stroke
  #line = newId()
  #part = 0
  #timer = 0
  #listeners

  constructor(tool, listeners) {
    this.#stroke = { id: `${this.#line}.0`, ...tool, points: [] }
    this.trail = { ...tool, points: [] }
    this.#listeners = listeners
  }

  /** Moves it to a place, in parts of the sheet. */
  to(x, y) {
    const { points } = this.#stroke
    if (points.length > 0 && Math.hypot(x - points.at(-2), y - points.at(-1)) < this.#listeners.nearest()) return
    points.push(x, y)
    this.trail.points.push(x, y)
    if (this.trail.points.length > MAX_TRAIL) this.trail.points.splice(0, MAX_TRAIL / 2)
    this.#timer ||= setTimeout(() => this.#finishPiece(), this.#listeners.pieceTime)
    if (points.length >= PIECE_LENGTH) this.#finishPiece()
    this.#listeners.changed()
  }

  /** Drops the part of the line that is not sent: the gesture moves the board. */
  drop() {
    clearTimeout(this.#timer)
    this.#timer = 0
    this.#listeners.lifted()
    this.#listeners.changed()
  }

  lift() {
    // Without a timer it has nothing that was not in the piece before.
    if (this.#timer !== 0) this.#finishPiece()
    this.#listeners.lifted()
    this.#listeners.changed()
  }

  #finishPiece() {
    const stroke = this.#stroke
    clearTimeout(this.#timer)
    this.#timer = 0
    // The next piece begins at the end of this one.
    this.#stroke = { ...stroke, id: `${this.#line}.${++this.#part}`, points: stroke.points.slice(-2) }
    this.#listeners.drawn(stroke)
    this.#listeners.changed()
  }
}

// crypto.randomUUID() exists on https and localhost only.
export function newId() {
  return Array.from(crypto.getRandomValues(new Uint32Array(3)), (part) => part.toString(36)).join('')
}
