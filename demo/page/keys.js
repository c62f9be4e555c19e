// Parts of the sheet if all of it is shown: across, and a third more down, so that the distance on the screen is the
// same (the sheet is 4:3).
const STEP = 0.015
const LARGE_STEP = 0.06
// The same as the server's.
const MOST = 100
const ASPECT = 4 / 3

const DIRECTIONS = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1]
}

/**
 * Draws with the keyboard: arrow keys move a crosshair, the space bar or Enter puts the pen down and lifts it.
 *
 * @param {HTMLElement} surface has the focus
 * @param {object} options
 * @param {HTMLElement} options.crosshair
 * @param {import('./pens.js').Pens} options.pens
 * @param {(at: [number, number] | null) => void} options.moved
 * @param {(text: string) => void} options.say for screen readers
 * @param {import('./view.js').View} options.view
 * @returns {() => boolean} whether keys are drawing
 */
export function listenToKeys(surface, { crosshair, pens, moved, say, view }) {
  let at = [0.5, 0.5]
  let pen

  const place = () => `${Math.round(at[0] * 100)} across, ${Math.round(at[1] * 100)} down`

  const show = () => {
    crosshair.hidden = false
    crosshair.toggleAttribute('data-down', pen !== undefined)
    crosshair.style.left = `${at[0] * 100}%`
    crosshair.style.top = `${at[1] * 100}%`
    view.reveal(at)
    moved(at)
  }

  const lift = () => {
    pen?.lift()
    pen = undefined
  }

  const move = ([right, down], step) => {
    const far = step / view.zoom
    at = [within(at[0] + right * far), within(at[1] + down * far * ASPECT)]
    pen?.to(...at)
    show()
  }

  const toggle = () => {
    if (pen === undefined) pen = pens.down(...at)
    else lift()
    say(`Pen ${pen === undefined ? 'up' : 'down'} at ${place()}`)
    show()
  }

  surface.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const direction = DIRECTIONS[event.key]
    if (direction !== undefined) move(direction, event.shiftKey ? LARGE_STEP : STEP)
    else if ((event.key === ' ' || event.key === 'Enter') && !event.repeat) toggle()
    else if (event.key === 'Escape') lift()
    else return
    event.preventDefault()
  })
  surface.addEventListener('focus', () => {
    if (surface.matches(':focus-visible')) show()
  })
  for (const type of ['blur', 'pointerdown']) {
    surface.addEventListener(type, () => {
      lift()
      crosshair.hidden = true
    })
  }
  surface.addEventListener('blur', () => moved(null))
  return () => !crosshair.hidden
}

function within(part) {
  return Math.round(Math.min(MOST, Math.max(-MOST, part)) * 10_000) / 10_000
}
