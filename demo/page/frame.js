import { HEIGHT, WIDTH } from './view.js'

/**
 * Keeps the board's first sheet in the part of the window that nothing covers, and what lies over the canvas in its
 * place.
 *
 * @param {import('./view.js').View} view
 * @param {object} elements
 * @param {HTMLElement} elements.sheet as large as the window
 * @param {HTMLElement} elements.free the part that nothing covers
 * @param {HTMLElement} elements.home lies on the board's first sheet
 * @param {HTMLElement} elements.zoom
 * @param {() => boolean} elements.isBusy whether the panel grows: the board must not jump then
 */
export function fitToWindow(view, { sheet, free, home, zoom, isBusy }) {
  const place = () => {
    const { scale, x, y } = view
    Object.assign(home.style, {
      left: `${x}px`,
      top: `${y}px`,
      width: `${WIDTH * scale}px`,
      height: `${HEIGHT * scale}px`
    })
    // The dots of the paper.
    sheet.style.backgroundPosition = `${x}px ${y}px`
    const step = 25 * scale * 2 ** Math.round(Math.log2(1 / view.zoom))
    sheet.style.backgroundSize = `${step}px ${step}px`
    zoom.textContent = `${Math.round(view.zoom * 100)}%`
    zoom.ariaLabel = `${zoom.textContent}: show the whole sheet`
  }
  const fit = () => {
    const { left, top } = sheet.getBoundingClientRect()
    const box = free.getBoundingClientRect()
    view.fit({ left: box.left - left, top: box.top - top, width: box.width, height: box.height })
    place()
  }
  view.addEventListener('change', place)
  new ResizeObserver(() => isBusy() || fit()).observe(free)
  new ResizeObserver(fit).observe(sheet)
  fit()
}
