import { boundsOf, outlineOf } from './brush.js'
import { Layers } from './layers.js'
import { HEIGHT, WIDTH } from './view.js'

const INKS = new Set(['paper', 'ink', 'red', 'amber', 'green', 'blue', 'violet'])
const HEX = /^#[0-9a-f]{6}$/i
const DEFAULT_WIDTH = 5
// On a phone the sheet is small, and a fine line would be a hair.
const MIN_PIXELS = 1.6
// During a gesture the picture of the settled lines is moved as it is, and drawn sharp this long after.
const REST = 120

// It follows the colour scheme by itself.
const theme = getComputedStyle(document.documentElement)

/** @typedef {import('./line.js').Run} Run */

/**
 * The canvas of the lines. Most lines are finished: they are drawn once, into a picture that is not shown itself. A
 * frame is a copy of that picture, and the few lines that still grow over it. Wet lines (still under a pen) have a
 * canvas of their own.
 */
export class Sheet {
  #ink
  #wet
  #settled
  #view
  /** The view of the settled picture. @type {{ scale: number, x: number, y: number }} */
  #drawnAt = { scale: 1, x: 0, y: 0 }
  /** @type {Iterable<{ runs: Run[] }>} */
  #lines = []
  #layers = new Layers()
  #isRedrawing = false
  #rest = 0
  /** @type {WeakMap<Run, { path: Path2D, bounds: number[], width: number }>} */
  #shapes = new WeakMap()
  #wetStrokes = []

  /** @param {{ ink: HTMLCanvasElement, wet: HTMLCanvasElement, view: import('./view.js').View }} options */
  constructor({ ink, wet, view }) {
    this.#ink = ink.getContext('2d')
    this.#wet = wet.getContext('2d')
    this.#settled = document.createElement('canvas').getContext('2d')
    this.#view = view
    view.addEventListener('change', () => this.#moved())
    new ResizeObserver(() => this.#fit()).observe(ink)
    this.#watchResolution()
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#again())
  }

  /** Shows these lines instead of the others. @param {Iterable<{ runs: Run[] }>} lines */
  show(lines) {
    this.#lines = lines
    this.#later()
  }

  /** @param {object[]} strokes */
  showWet(strokes) {
    this.#wetStrokes = strokes
    clear(this.#wet)
    for (const stroke of strokes) this.#draw(this.#wet, stroke, this.#shape(stroke), { isWet: true })
  }

  #later() {
    if (this.#isRedrawing) return
    this.#isRedrawing = true
    requestAnimationFrame(() => this.#redraw())
  }

  #fit() {
    for (const { canvas } of [this.#ink, this.#wet]) {
      canvas.width = Math.round(canvas.clientWidth * devicePixelRatio)
      canvas.height = Math.round(canvas.clientHeight * devicePixelRatio)
    }
    this.#settled.canvas.width = this.#ink.canvas.width
    this.#settled.canvas.height = this.#ink.canvas.height
    this.#again()
  }

  // On another screen or at another zoom the size may be the same, but the device's pixels differ.
  #watchResolution() {
    matchMedia(`(resolution: ${devicePixelRatio}dppx)`).addEventListener(
      'change',
      () => {
        this.#fit()
        this.#watchResolution()
      },
      { once: true }
    )
  }

  #moved() {
    clearTimeout(this.#rest)
    this.#rest = setTimeout(() => this.#again(), REST)
    this.#later()
    if (this.#wetStrokes.length > 0) this.showWet(this.#wetStrokes)
  }

  /** Draws the settled lines again: their colours or places have changed. */
  #again() {
    this.#layers.forget()
    this.#redraw()
  }

  #redraw() {
    this.#isRedrawing = false
    const runs = Array.from(this.#lines, (line) => line.runs).flat()
    const { isNew, settled, growing } = this.#layers.take(runs, performance.now())
    if (isNew) {
      clear(this.#settled)
      this.#drawnAt = { scale: this.#view.scale, x: this.#view.x, y: this.#view.y }
    }
    for (const run of settled) this.#draw(this.#settled, run, this.#shape(run), { at: this.#drawnAt })
    clear(this.#ink)
    this.#copySettled()
    for (const run of growing) this.#draw(this.#ink, run, this.#shape(run))
  }

  #copySettled() {
    const { scale, x, y } = this.#view
    const by = scale / this.#drawnAt.scale
    const ratio = devicePixelRatio
    this.#ink.setTransform(by, 0, 0, by, (x - this.#drawnAt.x * by) * ratio, (y - this.#drawnAt.y * by) * ratio)
    this.#ink.drawImage(this.#settled.canvas, 0, 0)
  }

  #shape(run) {
    const { points, width = DEFAULT_WIDTH, refused = false } = run
    const broad = Math.max(width, MIN_PIXELS / this.#drawnAt.scale)
    const known = this.#shapes.get(run)
    if (known?.width === broad && known.size === points.length) return known
    const outline = outlineOf(points, broad)
    const path = refused ? middleOf(points) : pathAround(outline)
    const shape = { path, bounds: boundsOf(outline), width: broad, size: points.length }
    this.#shapes.set(run, shape)
    return shape
  }

  #draw(context, { colour, width = DEFAULT_WIDTH, refused = false }, { path, bounds }, options = {}) {
    const { at = this.#view, isWet = false } = options
    const scale = at.scale * devicePixelRatio
    context.setTransform(scale, 0, 0, scale, at.x * devicePixelRatio, at.y * devicePixelRatio)
    if (isOutside(bounds, context)) return
    if (refused) {
      // Refused strokes are short dashes only, thin enough to differ from ink.
      context.strokeStyle = theme.getPropertyValue('--quiet')
      context.lineWidth = Math.min(width, DEFAULT_WIDTH)
      context.lineCap = 'round'
      context.setLineDash([8, 12])
      context.stroke(path)
      return
    }
    // The eraser takes ink away. On the wet canvas there is none to take, so it looks like paper.
    if (colour === 'paper' && !isWet) context.globalCompositeOperation = 'destination-out'
    context.fillStyle = inkOf(colour)
    context.fill(path)
    context.globalCompositeOperation = 'source-over'
  }
}

function clear(context) {
  context.resetTransform()
  context.clearRect(0, 0, context.canvas.width, context.canvas.height)
}

function isOutside([left, top, right, bottom], context) {
  const { a, e, f } = context.getTransform()
  const { width, height } = context.canvas
  return right * a + e < 0 || bottom * a + f < 0 || left * a + e > width || top * a + f > height
}

function pathAround(outline) {
  const path = new Path2D()
  const last = outline.at(-1)
  if (last === undefined) return path
  path.moveTo((last[0] + outline[0][0]) / 2, (last[1] + outline[0][1]) / 2)
  for (const [at, [x, y]] of outline.entries()) {
    const [nextX, nextY] = outline[(at + 1) % outline.length]
    path.quadraticCurveTo(x, y, (x + nextX) / 2, (y + nextY) / 2)
  }
  path.closePath()
  return path
}

function middleOf(points) {
  const path = new Path2D()
  for (let at = 0; at + 1 < points.length; at += 2) path.lineTo(points[at] * WIDTH, points[at + 1] * HEIGHT)
  return path
}

function inkOf(colour) {
  return HEX.test(colour) ? colour : theme.getPropertyValue(`--ink-${INKS.has(colour) ? colour : 'ink'}`)
}
