// A notch of a wheel is 100 pixels or so, and a pinch on a touchpad a few.
const ZOOM_PER_PIXEL = 0.0022
const MOST_PER_EVENT = 60
const LINE = 20
const STEP = 1.25

/**
 * Moves and zooms the board with the wheel, a touchpad, the buttons and keys. Returns whether the space bar is held,
 * which gives the board to the hand.
 *
 * @param {HTMLElement} surface
 * @param {object} options
 * @param {import('./view.js').View} options.view
 * @param {Record<'out' | 'home' | 'in', HTMLButtonElement>} options.buttons
 * @param {() => boolean} options.drawsByKeys whether the keys draw, and the space bar with them
 * @returns {() => boolean}
 */
export function listenToNavigation(surface, { view, buttons, drawsByKeys }) {
  let isHeld = false

  surface.addEventListener(
    'wheel',
    (event) => {
      event.preventDefault()
      const unit = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE : 1
      const [right, down] = [event.deltaX * unit, event.deltaY * unit]
      if (event.ctrlKey || event.metaKey) {
        const { left, top } = surface.getBoundingClientRect()
        const by = Math.max(-MOST_PER_EVENT, Math.min(MOST_PER_EVENT, down))
        view.zoomAt(Math.exp(-by * ZOOM_PER_PIXEL * 2), event.clientX - left, event.clientY - top)
      } else if (event.shiftKey && right === 0) view.pan(-down, 0)
      else view.pan(-right, -down)
    },
    { passive: false }
  )

  const act = { out: () => view.zoomBy(1 / STEP), home: () => view.home(), in: () => view.zoomBy(STEP) }
  for (const [name, button] of Object.entries(buttons)) button.addEventListener('click', act[name])
  const keys = { '+': act.in, '=': act.in, '-': act.out, 0: act.home }

  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isControl(event.target)) return
    if (event.key === ' ' && !drawsByKeys()) {
      isHeld = true
      surface.dataset.hand ??= 'open'
      event.preventDefault()
    } else keys[event.key]?.()
  })
  const release = () => {
    isHeld = false
    if (surface.dataset.hand === 'open') delete surface.dataset.hand
  }
  addEventListener('keyup', ({ key }) => key === ' ' && release())
  addEventListener('blur', release)
  return () => isHeld
}

// There the keys have a meaning of their own.
function isControl(target) {
  return target instanceof Element && target.matches('input, button, summary, a, select, textarea, dialog *')
}
