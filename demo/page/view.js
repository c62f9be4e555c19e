/*
 * A board has no edges. Places on it are parts of the sheet that it begins with: from 0 to 1 across and down, and on
 * beyond. The sheet is 4:3, and 1,000 units wide.
 */
export const WIDTH = 1_000
export const HEIGHT = 750

const MIN_ZOOM = 0.1
const MAX_ZOOM = 8
// As far as the server lets pointers go.
const MOST = 100
const MARGIN = 12

/** What part of the board the window shows. Event: `change`. */
export class View extends EventTarget {
  /** CSS pixels per unit. */
  scale = 1
  /** The place of the sheet's corner, in CSS pixels. */
  x = 0
  y = 0
  #free = { left: 0, top: 0, width: WIDTH, height: HEIGHT }
  #fitting = 1
  #isHome = true

  /** 1 if the whole sheet fits into the window. */
  get zoom() {
    return this.scale / this.#fitting
  }

  get isHome() {
    return this.#isHome
  }

  /** The part of the window that nothing covers. @param {{ left: number, top: number, width: number, height: number }} free */
  fit(free) {
    this.#free = free
    const inside = Math.min((free.width - 2 * MARGIN) / WIDTH, (free.height - 2 * MARGIN) / HEIGHT)
    this.#fitting = Math.max(0.05, inside)
    if (this.#isHome) this.home()
  }

  /** Shows the whole sheet in the middle. */
  home() {
    const { left, top, width, height } = this.#free
    this.#isHome = true
    this.#set(this.#fitting, left + (width - WIDTH * this.#fitting) / 2, top + (height - HEIGHT * this.#fitting) / 2)
  }

  /** Moves the board by so many CSS pixels. */
  pan(right, down) {
    if (right === 0 && down === 0) return
    this.#isHome = false
    this.#set(this.scale, this.x + right, this.y + down)
  }

  /** Zooms, and the place under this point of the window stays there. */
  zoomAt(factor, x, y) {
    const zoom = Math.min(MAX_ZOOM, Math.max(MIN_ZOOM, this.zoom * factor))
    const scale = zoom * this.#fitting
    const by = scale / this.scale
    this.#isHome = false
    this.#set(scale, x - (x - this.x) * by, y - (y - this.y) * by)
  }

  /** Zooms about the middle of what is free. */
  zoomBy(factor) {
    const { left, top, width, height } = this.#free
    this.zoomAt(factor, left + width / 2, top + height / 2)
  }

  /** Moves the board as far as is necessary to show a place. @param {[number, number]} place */
  reveal(place) {
    const [x, y] = this.pointOf(place)
    const { left, top, width, height } = this.#free
    const into = (at, from, size) => Math.min(from + size - MARGIN, Math.max(from + MARGIN, at)) - at
    this.pan(into(x, left, width), into(y, top, height))
  }

  /** The place under a point of the window, to a ten-thousandth. @returns {[number, number]} */
  placeOf(x, y) {
    return [rounded((x - this.x) / (this.scale * WIDTH)), rounded((y - this.y) / (this.scale * HEIGHT))]
  }

  /** The point of the window at a place. @param {[number, number]} place @returns {[number, number]} */
  pointOf([x, y]) {
    return [this.x + x * this.scale * WIDTH, this.y + y * this.scale * HEIGHT]
  }

  #set(scale, x, y) {
    if (scale === this.scale && x === this.x && y === this.y) return
    Object.assign(this, { scale, x, y })
    this.dispatchEvent(new Event('change'))
  }
}

function rounded(part) {
  return Math.round(Math.min(MOST, Math.max(-MOST, part)) * 10_000) / 10_000
}
