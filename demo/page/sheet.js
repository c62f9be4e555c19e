const INKS = new Set(['paper', 'ink', 'red', 'amber', 'green', 'blue', 'violet'])
const HEX = /^#[0-9a-f]{6}$/i
const DEFAULT_WIDTH = 5
// The sheet is 4:3, and its width is the unit of drawing.
const HEIGHT = 3 / 4

// It follows the colour scheme by itself.
const theme = getComputedStyle(document.documentElement)

/** @typedef {import('./line.js').Run} Run */

/** The canvas of the lines: dry lines are drawn once, wet lines (still under a pen) on a separate layer. */
export class Sheet {
  #ink
  #wet
  /** @type {Iterable<{ runs: Run[] }>} */
  #lines = []
  /** The content of the dry layer, in this order. @type {Run[]} */
  #drawn = []
  #isRedrawing = false
  /** A run's curve, which does not change with the window or the colours. @type {WeakMap<Run, Path2D>} */
  #paths = new WeakMap()

  /** @param {{ ink: HTMLCanvasElement, wet: HTMLCanvasElement }} layers */
  constructor({ ink, wet }) {
    this.#ink = ink.getContext('2d')
    this.#wet = wet.getContext('2d')
    new ResizeObserver(() => this.#fit()).observe(ink)
    this.#watchResolution()
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#redrawAll())
  }

  /** Shows these lines instead of the others. @param {Iterable<{ runs: Run[] }>} lines */
  show(lines) {
    this.#lines = lines
    if (this.#isRedrawing) return
    this.#isRedrawing = true
    requestAnimationFrame(() => this.#redraw())
  }

  /** @param {Iterable<Run>} strokes */
  showWet(strokes) {
    clear(this.#wet)
    for (const stroke of strokes) draw(this.#wet, stroke, curve(stroke.points))
  }

  #fit() {
    for (const { canvas } of [this.#ink, this.#wet]) {
      canvas.width = Math.round(canvas.clientWidth * devicePixelRatio)
      canvas.height = Math.round(canvas.clientHeight * devicePixelRatio)
    }
    this.#redrawAll()
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

  #redrawAll() {
    this.#drawn = []
    clear(this.#ink)
    this.#redraw()
  }

  /** Usually something is drawn over the existing lines. */
  #redraw() {
    this.#isRedrawing = false
    const runs = Array.from(this.#lines, (line) => line.runs).flat()
    const isMore = this.#drawn.every((run, at) => run === runs[at])
    if (!isMore) clear(this.#ink)
    for (const run of isMore ? runs.slice(this.#drawn.length) : runs) draw(this.#ink, run, this.#pathOf(run))
    this.#drawn = runs
  }

  #pathOf(run) {
    const path = this.#paths.get(run) ?? curve(run.points)
    this.#paths.set(run, path)
    return path
  }
}

function clear(context) {
  context.resetTransform()
  context.clearRect(0, 0, context.canvas.width, context.canvas.height)
}

function draw(context, { points, colour, width = DEFAULT_WIDTH, refused = false }, path) {
  const scale = context.canvas.width
  context.setTransform(scale, 0, 0, scale, 0, 0)
  context.strokeStyle = refused ? themeColour('--quiet') : inkOf(colour)
  context.lineWidth = width / 1000
  context.lineCap = 'round'
  context.lineJoin = 'round'
  // Refused strokes are an outline only: short dashes, thin enough to differ from ink.
  if (refused) context.lineWidth = Math.min(width, DEFAULT_WIDTH) / 1000
  context.setLineDash(refused ? [0.008, 0.012] : [])
  if (points.length > 3) {
    context.stroke(path)
    return
  }
  // A line of no length has no ink.
  context.fillStyle = context.strokeStyle
  context.beginPath()
  context.arc(points[0], points[1] * HEIGHT, context.lineWidth / 2, 0, 2 * Math.PI)
  context.fill()
}

/** A curve that the points pull along: straight lines between them would show every sample. */
function curve(points) {
  const path = new Path2D()
  const x = (at) => points[at]
  const y = (at) => points[at + 1] * HEIGHT
  const last = points.length - (points.length % 2) - 2
  path.moveTo(x(0), y(0))
  for (let at = 2; at < last; at += 2) {
    path.quadraticCurveTo(x(at), y(at), (x(at) + x(at + 2)) / 2, (y(at) + y(at + 2)) / 2)
  }
  path.lineTo(x(last), y(last))
  return path
}

function inkOf(colour) {
  return HEX.test(colour) ? colour : themeColour(`--ink-${INKS.has(colour) ? colour : 'ink'}`)
}

function themeColour(name) {
  return theme.getPropertyValue(name)
}
