/**
 * Draws with pointers: mouse, stylus, each finger.
 *
 * @param {HTMLElement} surface
 * @param {import('./pens.js').Pens} pens
 * @param {(at: [number, number] | null) => void} moved gets the place of a pointer, and null when it leaves
 */
export function listenToPointers(surface, pens, moved) {
  const down = new Map()

  const lift = ({ pointerId, pointerType }) => {
    down.get(pointerId)?.lift()
    down.delete(pointerId)
    // A lifted finger points nowhere.
    if (pointerType === 'touch') moved(null)
  }

  surface.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return
    surface.setPointerCapture(event.pointerId)
    const at = placeOf(surface, event)
    down.set(event.pointerId, pens.down(...at))
    moved(at)
  })
  surface.addEventListener('pointermove', (event) => {
    moved(placeOf(surface, event))
    const pen = down.get(event.pointerId)
    if (pen === undefined) return
    // A frame may hold many samples of a fast pen: with all of them the line stays round.
    const samples = event.getCoalescedEvents?.() ?? []
    for (const sample of samples.length > 0 ? samples : [event]) pen.to(...placeOf(surface, sample))
  })
  surface.addEventListener('pointerup', lift)
  surface.addEventListener('pointercancel', lift)
  surface.addEventListener('pointerleave', () => moved(null))
}

/** The place on the surface, from 0 to 1 across and down, to a ten-thousandth. */
function placeOf(surface, { clientX, clientY }) {
  const { left, top, width, height } = surface.getBoundingClientRect()
  return [(clientX - left) / width, (clientY - top) / height].map(
    (part) => Math.round(Math.min(1, Math.max(0, part)) * 10_000) / 10_000
  )
}
