// A second finger this soon after the first one moves the board. What the first one drew is not sent then: a piece of a
// line takes longer.
const PINCH_TIME = 200

/**
 * Draws with pointers: mouse, stylus, each finger. Two fingers move and zoom the board, and so does a mouse with the
 * space bar or its middle button.
 *
 * @param {HTMLElement} surface
 * @param {object} options
 * @param {import('./pens.js').Pens} options.pens
 * @param {import('./view.js').View} options.view
 * @param {() => boolean} options.isMoving whether the hand has the board, rather than a pen
 * @param {(at: [number, number] | null) => void} options.moved gets the place of a pointer, and null when it leaves
 */
export function listenToPointers(surface, { pens, view, isMoving, moved }) {
  /** @type {Map<number, { pen: import('./pens.js').Pen, since: number }>} */
  const drawing = new Map()
  /** The pointers that move the board, with their last points. @type {Map<number, { x: number, y: number }>} */
  const hands = new Map()

  const pointOf = ({ clientX, clientY }) => {
    const { left, top } = surface.getBoundingClientRect()
    return { x: clientX - left, y: clientY - top }
  }
  const placeOf = (event) => {
    const { x, y } = pointOf(event)
    return view.placeOf(x, y)
  }
  const grab = (event) => {
    hands.set(event.pointerId, pointOf(event))
    surface.dataset.hand = 'closed'
  }

  /** Whether this finger makes a pair with one that has only just begun to draw. */
  const makesPinch = ({ pointerType, timeStamp }) => {
    if (pointerType !== 'touch') return false
    if (hands.size === 1) return true
    return drawing.size === 1 && timeStamp - [...drawing.values()][0].since < PINCH_TIME
  }

  const beginPinch = (event) => {
    for (const [id, { pen, point }] of drawing) {
      pen.drop()
      hands.set(id, point)
    }
    drawing.clear()
    moved(null)
    grab(event)
  }

  const moveBoard = (event) => {
    const from = hands.get(event.pointerId)
    const to = pointOf(event)
    const [other] = [...hands].filter(([id]) => id !== event.pointerId).map(([, point]) => point)
    hands.set(event.pointerId, to)
    if (other === undefined) {
      view.pan(to.x - from.x, to.y - from.y)
      return
    }
    // Two fingers: the place under each of them stays there.
    const distance = (a, b) => Math.max(1, Math.hypot(a.x - b.x, a.y - b.y))
    view.pan((to.x - from.x) / 2, (to.y - from.y) / 2)
    view.zoomAt(distance(to, other) / distance(from, other), (to.x + other.x) / 2, (to.y + other.y) / 2)
  }

  const lift = ({ pointerId, pointerType }) => {
    drawing.get(pointerId)?.pen.lift()
    drawing.delete(pointerId)
    if (hands.delete(pointerId) && hands.size === 0) delete surface.dataset.hand
    // A lifted finger points nowhere.
    if (pointerType === 'touch') moved(null)
  }

  surface.addEventListener('pointerdown', (event) => {
    const isMiddle = event.button === 1
    if (event.button !== 0 && !isMiddle) return
    surface.setPointerCapture(event.pointerId)
    if (makesPinch(event)) beginPinch(event)
    else if (isMiddle || isMoving()) grab(event)
    else {
      const at = placeOf(event)
      drawing.set(event.pointerId, { pen: pens.down(...at), since: event.timeStamp, point: pointOf(event) })
      moved(at)
    }
  })
  surface.addEventListener('pointermove', (event) => {
    if (hands.has(event.pointerId)) {
      moveBoard(event)
      return
    }
    moved(placeOf(event))
    const line = drawing.get(event.pointerId)
    if (line === undefined) return
    line.point = pointOf(event)
    // A frame may hold many samples of a fast pen: with all of them the line stays round.
    const samples = event.getCoalescedEvents?.() ?? []
    for (const sample of samples.length > 0 ? samples : [event]) line.pen.to(...placeOf(sample))
  })
  surface.addEventListener('pointerup', lift)
  surface.addEventListener('pointercancel', lift)
  surface.addEventListener('pointerleave', () => moved(null))
}
