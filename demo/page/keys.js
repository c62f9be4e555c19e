// Parts of the sheet: across, and a third more down, so that the distance on the screen is the same (the sheet is 4:3).
const STEP = 0.015
const LARGE_STEP = 0.06
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
 */
export function listenToKeys(surface, { crosshair, pens, moved, say }) {
  let at = [0.5, 0.5]
  let pen

  const place = () => `${Math.round(at[0] * 100)} across, ${Math.round(at[1] * 100)} down`

  const show = () => {
    crosshair.hidden = false
    crosshair.toggleAttribute('data-down', pen !== undefined)
    crosshair.style.left = `${at[0] * 100}%`
    crosshair.style.top = `${at[1] * 100}%`
    moved(at)
  }

  const lift = () => {
    pen?.lift()
    pen = undefined
  }

  const move = ([right, down], step) => {
    at = [within(at[0] + right * step), within(at[1] + down * step * ASPECT)]
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
}

function within(part) {
  return Math.round(Math.min(1, Math.max(0, part)) * 10_000) / 10_000
}
