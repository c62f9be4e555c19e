const INKS = new Set(['paper', 'ink', 'red', 'amber', 'green', 'blue', 'violet'])
const HEX = /^#[0-9a-f]{6}$/i
const DEFAULT_WIDTH = 5

/**
 * @typedef {object} Stroke a line, or a piece of one
 * @property {string} id of pieces the line's, a dot, and the piece's number
 * @property {string} colour one of the inks, or `#rrggbb`
 * @property {number} [width] in thousandths of the sheet's width
 * @property {number[]} points x and y in turn, from 0 to 1
 * @property {string} [user]
 */

/** What the strokes are drawn on: dry ones once, wet ones (still under a pen) on a layer of their own. */
export class Sheet {
  #ink
  #wet
  /** @type {Map<string, Stroke>} */
  #lines = new Map()
  #isRedrawing = false

  /** @param {{ ink: HTMLCanvasElement, wet: HTMLCanvasElement }} layers */
  constructor({ ink, wet }) {
    this.#ink = ink.getContext('2d')
    this.#wet = wet.getContext('2d')
    new ResizeObserver(() => this.#fit()).observe(ink)
    this.#watchResolution()
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#redraw())
  }

  /** Shows these strokes in place of others. @param {Iterable<Stroke>} strokes */
  show(strokes) {
    this.#lines.clear()
    for (const stroke of strokes) this.#extend(stroke)
    this.#redraw()
  }

  /** @param {Stroke} stroke */
  add(stroke) {
    if (!this.#extend(stroke)) draw(this.#ink, stroke)
    else if (!this.#isRedrawing) {
      this.#isRedrawing = true
      requestAnimationFrame(() => this.#redraw())
    }
  }

  /** @param {Iterable<Stroke>} strokes */
  showWet(strokes) {
    clear(this.#wet)
    for (const stroke of strokes) draw(this.#wet, stroke)
  }

  /**
   * Keeps a stroke, and says whether it goes on with a line that is there: drawn as one, since the soft edges of two
   * ends over each other make a knot.
   */
  #extend(stroke) {
    const { id, points } = stroke
    const [name] = id.split('.')
    const line = this.#lines.get(name)
    const goesOn = line !== undefined && line.points.at(-2) === points[0] && line.points.at(-1) === points[1]
    if (goesOn) this.#lines.set(name, { ...line, points: [...line.points, ...points.slice(2)] })
    else this.#lines.set(line === undefined ? name : id, stroke)
    return goesOn
  }

  #fit() {
    for (const { canvas } of [this.#ink, this.#wet]) {
      canvas.width = Math.round(canvas.clientWidth * devicePixelRatio)
      canvas.height = Math.round(canvas.clientHeight * devicePixelRatio)
    }
    this.#redraw()
  }

  // Another screen, another zoom: the size may stay, and the device's pixels are others.
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

  #redraw() {
    this.#isRedrawing = false
    clear(this.#ink)
    for (const line of this.#lines.values()) draw(this.#ink, line)
  }
}

function clear(context) {
  context.clearRect(0, 0, context.canvas.width, context.canvas.height)
}

/** Draws a stroke as a curve that its points pull along: straight lines between them would show every sample. */
function draw(context, { points, colour, width = DEFAULT_WIDTH }) {
  const { width: across, height: down } = context.canvas
  const x = (at) => points[at] * across
  const y = (at) => points[at + 1] * down
  const last = points.length - (points.length % 2) - 2
  context.strokeStyle = inkOf(colour)
  context.lineWidth = (width / 1000) * across
  context.lineCap = 'round'
  context.lineJoin = 'round'
  context.beginPath()
  context.moveTo(x(0), y(0))
  for (let at = 2; at < last; at += 2) {
    context.quadraticCurveTo(x(at), y(at), (x(at) + x(at + 2)) / 2, (y(at) + y(at + 2)) / 2)
  }
  if (last > 0) {
    context.lineTo(x(last), y(last))
    context.stroke()
  } else {
    // A line of no length has no ink.
    context.fillStyle = context.strokeStyle
    context.arc(x(0), y(0), context.lineWidth / 2, 0, 2 * Math.PI)
    context.fill()
  }
}

function inkOf(colour) {
  if (HEX.test(colour)) return colour
  return getComputedStyle(document.documentElement).getPropertyValue(`--ink-${INKS.has(colour) ? colour : 'ink'}`)
}
