const INTERVAL = 100
// Of the lanes, in CSS pixels.
const LANE = 22
const TICK = 1.5
const LABEL_WIDTH = 44

const theme = getComputedStyle(document.documentElement)
const COLOURS = { you: '--accent', guide: '--ink-violet' }

/**
 * The live timeline: a lane for each connection with a tick for each delivery, a band where none came, and a mark for
 * everything that was broken. It stands still if there is nothing to show.
 */
export class Strip {
  #canvas
  #marks
  #lanes
  #deliveries
  #timer = 0

  /**
   * @param {HTMLElement} element
   * @param {import('./deliveries.js').Deliveries} deliveries
   */
  constructor(element, deliveries) {
    this.#canvas = element.querySelector('canvas')
    this.#marks = element.querySelector('ol')
    this.#lanes = [...element.querySelectorAll('[data-lane]')]
    this.#deliveries = deliveries
    new ResizeObserver(() => this.#draw()).observe(this.#canvas)
  }

  /** Something was added. */
  wake() {
    if (this.#timer !== 0) return
    this.#timer = setTimeout(() => {
      this.#timer = 0
      const goesOn = this.#deliveries.trim(performance.now())
      this.#draw()
      if (goesOn) this.wake()
    }, INTERVAL)
  }

  /** @param {string} lane @param {string} text where the connection goes to */
  name(lane, text) {
    this.#lane(lane).querySelector('.at').textContent = text
  }

  #draw() {
    const now = performance.now()
    const start = this.#deliveries.start(now)
    const { clientWidth: width, clientHeight: height } = this.#canvas
    const context = this.#canvas.getContext('2d')
    this.#canvas.width = Math.round(width * devicePixelRatio)
    this.#canvas.height = Math.round(height * devicePixelRatio)
    context.scale(devicePixelRatio, devicePixelRatio)
    const across = (time) => ((time - start) / (now - start)) * width
    for (const [at, { dataset }] of this.#lanes.entries()) {
      this.#drawLane(context, dataset.lane, { top: at * LANE, width, across, now })
    }
    this.#showMarks(start, now)
    this.#showGaps(now)
  }

  #drawLane(context, lane, { top, width, across, now }) {
    const middle = top + LANE / 2
    context.fillStyle = theme.getPropertyValue('--line')
    context.fillRect(0, middle - 0.5, width, 1)
    context.fillStyle = theme.getPropertyValue(COLOURS[lane])
    for (const time of this.#deliveries.arrivals(lane)) context.fillRect(across(time), middle - 5, TICK, 10)
    context.font = '600 10px system-ui, sans-serif'
    context.textAlign = 'center'
    for (const { from, to } of this.#deliveries.gaps(lane, now)) {
      const [left, right] = [across(from), across(to)]
      context.fillStyle = theme.getPropertyValue('--warn')
      context.globalAlpha = 0.22
      context.fillRect(left, top + 2, right - left, LANE - 4)
      context.globalAlpha = 1
      if (right - left > LABEL_WIDTH) context.fillText(lengthOf(to - from), (left + right) / 2, middle + 3.5)
    }
  }

  #showMarks(start, now) {
    const items = this.#deliveries.marks.filter(({ at }) => at >= start)
    while (this.#marks.childElementCount > items.length) this.#marks.lastElementChild.remove()
    for (const [at, { kind, text, at: time }] of items.entries()) {
      const item = this.#marks.children[at] ?? this.#marks.appendChild(document.createElement('li'))
      item.style.left = `${((time - start) / (now - start)) * 100}%`
      if (item.title === text && item.dataset.mark === kind) continue
      item.dataset.mark = kind
      item.title = text
      item.textContent = text
    }
  }

  #showGaps(now) {
    for (const element of this.#lanes) {
      const longest = this.#deliveries.longest(element.dataset.lane, now)
      element.querySelector('.gap').textContent = longest === 0 ? '' : `gap ${lengthOf(longest)}`
    }
  }

  #lane(name) {
    return this.#lanes.find(({ dataset }) => dataset.lane === name)
  }
}

function lengthOf(milliseconds) {
  return milliseconds < 1_000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1_000).toFixed(1)} s`
}
