// Others see a line grow in pieces: each is sent this long after it began, or with so many numbers.
const PIECE_TIME = 250
const PIECE_LENGTH = 400
// Closer to the last point than this (in parts of the sheet) a point adds nothing that could be seen.
const MIN_DISTANCE = 0.0012

/**
 * Turns what pointers do (mouse, pen, each finger) into strokes.
 *
 * @param {HTMLElement} surface
 * @param {object} options
 * @param {() => { colour: string, width: number }} options.tool what a new line is drawn with
 * @param {(strokes: Iterable<object>) => void} options.wet shows the pieces that are being drawn
 * @param {(stroke: object) => void} options.drawn takes a piece that is done
 */
export function listenToPens(surface, { tool, wet, drawn }) {
  /** @type {Map<number, { line: string, part: number, stroke: { points: number[] }, timer: number }>} */
  const pens = new Map()
  let isShowing = false

  const show = () => {
    if (isShowing) return
    isShowing = true
    requestAnimationFrame(() => {
      isShowing = false
      wet(Array.from(pens.values(), ({ stroke }) => stroke))
    })
  }

  const finishPiece = (id) => {
    const pen = pens.get(id)
    const { stroke } = pen
    clearTimeout(pen.timer)
    drawn(stroke)
    // The next piece begins where this one ends.
    pen.stroke = { ...stroke, id: `${pen.line}.${++pen.part}`, points: stroke.points.slice(-2) }
    pen.timer = 0
    show()
  }

  const add = (id, event) => {
    const pen = pens.get(id)
    const { points } = pen.stroke
    const [x, y] = placeOf(surface, event)
    if (points.length > 0 && Math.hypot(x - points.at(-2), y - points.at(-1)) < MIN_DISTANCE) return
    points.push(x, y)
    pen.timer ||= setTimeout(() => finishPiece(id), PIECE_TIME)
    if (points.length >= PIECE_LENGTH) finishPiece(id)
    show()
  }

  const lift = ({ pointerId }) => {
    const pen = pens.get(pointerId)
    if (pen === undefined) return
    // Without a timer there is nothing in it that was not in the piece before.
    if (pen.timer !== 0) finishPiece(pointerId)
    pens.delete(pointerId)
    show()
  }

  surface.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return
    surface.setPointerCapture(event.pointerId)
    const line = newId()
    pens.set(event.pointerId, { line, part: 0, stroke: { id: `${line}.0`, ...tool(), points: [] }, timer: 0 })
    add(event.pointerId, event)
  })
  surface.addEventListener('pointermove', (event) => {
    if (!pens.has(event.pointerId)) return
    // A frame may hold many samples of a fast pen: with all of them the line stays round.
    const samples = event.getCoalescedEvents?.() ?? []
    for (const sample of samples.length > 0 ? samples : [event]) add(event.pointerId, sample)
  })
  surface.addEventListener('pointerup', lift)
  surface.addEventListener('pointercancel', lift)
}

/** Where on the surface, from 0 to 1 across and down, to a ten-thousandth. */
function placeOf(surface, { clientX, clientY }) {
  const { left, top, width, height } = surface.getBoundingClientRect()
  return [(clientX - left) / width, (clientY - top) / height].map(
    (part) => Math.round(Math.min(1, Math.max(0, part)) * 10_000) / 10_000
  )
}

// crypto.randomUUID() is there on https and localhost only.
function newId() {
  return Array.from(crypto.getRandomValues(new Uint32Array(3)), (part) => part.toString(36)).join('')
}
