import uPlot from '/modules/uplot.js'
import { element } from './element.js'
import { time } from './format.js'

const HEIGHT = 148
// All charts show the same moment under the pointer.
const SYNC = 'dashboard'
const FONT = '11px system-ui, sans-serif'
// Seconds.
const EDGE = 10
// Colours of the palette in dashboard.css; more lines than that are dashed.
const COLOURS = 6
const DASH = [6, 4]

/**
 * @typedef {object} Line
 * @property {string} name
 * @property {number} colour the place in the palette
 * @property {(number | null)[]} values one for each second
 *
 * @typedef {object} ChartOptions
 * @property {string} id
 * @property {string} title
 * @property {string} note the content in a few words
 * @property {string} empty shown if there is no data
 * @property {(value: number | null) => string} format
 * @property {number} least the top of the scale is no lower than this
 * @property {boolean} [logarithmic]
 * @property {number[]} [increments] between two lines of the grid, to choose from
 */

/** One chart with its legend, which has the figures of the moment under the pointer, or otherwise of now. */
export class Chart {
  #options
  #plot
  #legend
  #head
  #empty
  /** @type {uPlot | undefined} */
  #chart
  #lines = []
  #seconds = []
  #names = ''

  /** @param {HTMLElement} figure @param {ChartOptions} options */
  constructor(figure, options) {
    const { id, title, note, empty } = options
    this.#options = options
    this.#head = element('output', { className: 'chart-total' })
    this.#legend = element('ul', { className: 'legend' })
    this.#plot = element('div', { className: 'plot', role: 'img' })
    this.#empty = element('p', { className: 'chart-empty', textContent: empty, hidden: true })
    const heading = element('h3', { id: `${id}-title`, textContent: title })
    const caption = element('figcaption', {}, heading, this.#head)
    const stage = element('div', { className: 'stage' }, this.#plot, this.#empty)
    figure.setAttribute('aria-labelledby', heading.id)
    figure.append(caption, element('p', { className: 'chart-note', textContent: note }), stage, this.#legend)
    new ResizeObserver(() => this.#fit()).observe(stage)
    this.figure = figure
  }

  /**
   * @param {number[]} seconds since 1970
   * @param {Line[]} lines
   * @param {string} head the figure beside the title
   */
  show(seconds, lines, head) {
    this.#seconds = seconds
    this.#lines = lines
    this.#head.textContent = head
    const names = JSON.stringify(lines.map(({ name, colour }) => [name, colour]))
    if (names !== this.#names || this.#chart === undefined) this.#make(names)
    else this.#chart.setData(this.#data())
    this.#describe()
  }

  /** Draws again, for changed colours. */
  redraw() {
    this.#chart?.redraw(false)
  }

  #data() {
    return [this.#seconds, ...this.#lines.map(({ values }) => values)]
  }

  #make(names) {
    this.#names = names
    this.#chart?.destroy()
    this.#chart = new uPlot(
      {
        width: Math.max(1, this.#plot.clientWidth),
        height: HEIGHT,
        padding: [8, 4, 0, 0],
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 }, sync: { key: SYNC, setSeries: false } },
        scales: { x: { range: () => [this.#seconds[0], this.#seconds.at(-1)] }, y: this.#scale() },
        axes: [this.#timeAxis(), this.#valueAxis()],
        series: [{}, ...this.#lines.map((line) => seriesOf(line))],
        hooks: { setCursor: [() => this.#label()] }
      },
      this.#data(),
      this.#plot
    )
    this.#legend.replaceChildren(
      ...this.#lines.map(({ name, colour }) =>
        element(
          'li',
          {},
          element('span', { className: 'swatch', dataset: swatchOf(colour) }),
          element('span', { className: 'legend-name', textContent: name }),
          element('span', { className: 'legend-value' })
        )
      )
    )
  }

  #scale() {
    const { least, logarithmic } = this.#options
    if (!logarithmic) return { range: (_chart, _low, high) => [0, Math.max(least, (high ?? 0) * 1.15)] }
    // From a hundredth of `least` on: smaller values are drawn at the bottom.
    return { distr: 3, range: (_chart, _low, high) => [least / 100, decadeAbove(Math.max(least, high ?? 0))] }
  }

  #timeAxis() {
    return {
      stroke: () => colourOf('--quiet'),
      grid: { stroke: () => colourOf('--grid'), width: 1 },
      ticks: { show: false },
      font: FONT,
      size: 24,
      gap: 4,
      incrs: [30, 60],
      space: 64,
      // A label at the very edge would be cut off.
      values: (_chart, seconds) =>
        seconds.map((second) => (second > this.#seconds.at(-EDGE) ? '' : time(second * 1_000)))
    }
  }

  #valueAxis() {
    const { format, logarithmic, increments } = this.#options
    return {
      ...(increments && { incrs: increments }),
      ...(logarithmic && { splits: (_chart, _axis, low, high) => decades(low, high) }),
      stroke: () => colourOf('--quiet'),
      grid: { stroke: () => colourOf('--grid'), width: 1 },
      ticks: { show: false },
      font: FONT,
      size: 52,
      gap: 6,
      space: logarithmic ? 16 : 32,
      values: (_chart, values) => values.map((value) => (value === null ? null : format(value)))
    }
  }

  #fit() {
    const width = this.#plot.clientWidth
    if (width > 0) this.#chart?.setSize({ width, height: HEIGHT })
  }

  /** Writes the figures into the legend, and as text for readers who cannot see the lines. */
  #describe() {
    const { title, format, empty } = this.#options
    const now = this.#lines.map(({ values }) => values.at(-1) ?? null)
    const isEmpty = this.#lines.every(({ values }) => values.every((value) => value === null))
    this.#empty.hidden = !isEmpty
    const said = this.#lines.map(({ name, values }, at) => {
      const known = values.filter((value) => value !== null)
      return `${name} ${format(now[at])}, at most ${format(known.length === 0 ? null : Math.max(...known))}`
    })
    this.#plot.setAttribute('aria-label', isEmpty ? `${title}. ${empty}` : `${title}, now. ${said.join('; ')}`)
    const { dataset } = this.figure
    dataset.points = String(this.#lines.reduce((most, { values }) => Math.max(most, present(values)), 0))
    dataset.last = JSON.stringify(Object.fromEntries(this.#lines.map(({ name }, at) => [name, now[at]])))
    this.#label()
  }

  #label() {
    const at = this.#chart?.cursor.idx ?? this.#seconds.length - 1
    const values = this.#legend.querySelectorAll('.legend-value')
    for (const [place, line] of this.#lines.entries()) {
      if (values[place]) values[place].textContent = this.#options.format(line.values[at] ?? null)
    }
  }
}

function seriesOf({ name, colour }) {
  return {
    label: name,
    stroke: () => colourOf(`--series-${colour % COLOURS}`),
    width: 1.6,
    dash: colour < COLOURS ? undefined : DASH,
    points: { show: false }
  }
}

/** The class with which dashboard.css paints a line's mark. */
export function swatchOf(colour) {
  return { series: String(colour % COLOURS), dashed: String(colour >= COLOURS) }
}

function colourOf(property) {
  return getComputedStyle(document.documentElement).getPropertyValue(property)
}

// Slightly more than the decade still counts as the decade: 0.1 + 0.2 is more than 0.3.
function decadeAbove(value) {
  return 10 ** Math.ceil(Math.log10(value) - 1e-9)
}

/** The powers of ten from one bound to the other. */
function decades(low, high) {
  const first = Math.round(Math.log10(low))
  const count = Math.round(Math.log10(high)) - first + 1
  return Array.from({ length: count }, (_, at) => 10 ** (first + at))
}

function present(values) {
  return values.filter((value) => value !== null).length
}
