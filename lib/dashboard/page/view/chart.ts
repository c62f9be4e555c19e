import type uPlot from 'uplot'
import { time } from '../model/format.ts'
import type { Line } from '../model/timeline.ts'
import { element } from './element.ts'
import { Plot } from './uplot.ts'

const HEIGHT = 132
// All charts show the same moment under the pointer.
const SYNC = 'dashboard'
const FONT = '11px system-ui, sans-serif'
// Seconds.
const EDGE = 40
// Colours of the palette in dashboard.css; more lines than that are dashed.
const COLOURS = 6
const DASH = [6, 4]

export interface ChartLine {
  readonly name: string
  /** The place in the palette. */
  readonly colour: number
  /** One value for each second. */
  readonly values: Line
}

export interface ChartOptions {
  readonly id: string
  readonly title: string
  /** The content in a few words. */
  readonly note: string
  /** Shown if there is no data. */
  readonly empty: string
  readonly format: (value: number | null) => string
  /** The top of the scale is no lower than this. */
  readonly least: number
  readonly logarithmic?: boolean
  /** Between two lines of the grid, to choose from. */
  readonly increments?: number[]
}

/** One chart with its legend, which has the figures of the moment under the pointer, or otherwise of now. */
export class Chart {
  readonly figure: HTMLElement
  readonly #options: ChartOptions
  readonly #plot = element('div', { className: 'plot', role: 'img' })
  readonly #legend = element('ul', { className: 'legend' })
  readonly #head = element('output', { className: 'chart-total' })
  readonly #empty: HTMLElement
  #chart: uPlot | undefined
  #lines: readonly ChartLine[] = []
  #seconds: readonly number[] = []
  #names = ''

  constructor(figure: HTMLElement, options: ChartOptions) {
    const { id, title, note, empty } = options
    this.figure = figure
    this.#options = options
    this.#empty = element('p', { className: 'chart-empty', textContent: empty, hidden: true })
    const heading = element('h3', { id: `${id}-title`, textContent: title })
    const caption = element('figcaption', {}, heading, this.#head)
    const stage = element('div', { className: 'stage' }, this.#plot, this.#empty)
    figure.setAttribute('aria-labelledby', heading.id)
    figure.append(caption, element('p', { className: 'chart-note', textContent: note }), stage, this.#legend)
    new ResizeObserver(() => this.#fit()).observe(stage)
  }

  /** @param head The figure beside the title. */
  show(seconds: readonly number[], lines: readonly ChartLine[], head: string): void {
    this.#seconds = seconds
    this.#lines = lines
    this.#head.textContent = head
    const names = JSON.stringify(lines.map(({ name, colour }) => [name, colour]))
    if (names !== this.#names || this.#chart === undefined) this.#make(names)
    else this.#chart.setData(this.#data())
    this.#describe()
  }

  /** Draws again, for changed colours. */
  redraw(): void {
    this.#chart?.redraw(false)
  }

  #data(): uPlot.AlignedData {
    return [this.#seconds, ...this.#lines.map(({ values }) => values)] as uPlot.AlignedData
  }

  #make(names: string): void {
    this.#names = names
    this.#chart?.destroy()
    const range = (): [number, number] => [this.#seconds[0] ?? 0, this.#seconds.at(-1) ?? 1]
    const options: uPlot.Options = {
      width: Math.max(1, this.#plot.clientWidth),
      height: HEIGHT,
      padding: [8, 4, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 }, sync: { key: SYNC, setSeries: false } },
      scales: { x: { range }, y: this.#scale() },
      axes: [this.#timeAxis(), this.#valueAxis()],
      series: [{}, ...this.#lines.map((line) => seriesOf(line))],
      hooks: { setCursor: [() => this.#label()] }
    }
    this.#chart = new Plot(options, this.#data(), this.#plot)
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

  #scale(): uPlot.Scale {
    const { least, logarithmic } = this.#options
    if (!logarithmic) {
      return { range: (_chart, _low, high) => [0, Math.max(least, ((high as number | null) ?? 0) * 1.15)] }
    }
    // From a hundredth of `least` on: smaller values are drawn at the bottom.
    return {
      distr: 3,
      range: (_chart, _low, high) => [least / 100, decadeAbove(Math.max(least, (high as number | null) ?? 0))]
    }
  }

  #timeAxis(): uPlot.Axis {
    return {
      stroke: () => colourOf('--quiet'),
      grid: { stroke: () => colourOf('--grid'), width: 1 },
      ticks: { show: false },
      font: FONT,
      size: 22,
      gap: 4,
      incrs: [60, 120, 300],
      space: 56,
      // A label at the very edge would be cut off.
      values: (_chart, seconds) => {
        const edge = this.#seconds.at(-EDGE) ?? Number.POSITIVE_INFINITY
        return seconds.map((second) => (second > edge ? '' : time(second * 1_000).slice(0, -3)))
      }
    }
  }

  #valueAxis(): uPlot.Axis {
    const { format, logarithmic, increments } = this.#options
    return {
      ...(increments && { incrs: increments }),
      ...(logarithmic && { splits: (_chart, _axis, low, high) => decades(low, high) }),
      stroke: () => colourOf('--quiet'),
      grid: { stroke: () => colourOf('--grid'), width: 1 },
      ticks: { show: false },
      font: FONT,
      size: 50,
      gap: 6,
      space: logarithmic ? 16 : 30,
      values: (_chart, values) => (values as (number | null)[]).map((value) => (value === null ? null : format(value)))
    }
  }

  #fit(): void {
    const width = this.#plot.clientWidth
    if (width > 0) this.#chart?.setSize({ width, height: HEIGHT })
  }

  /** Writes the figures into the legend, and as text for readers who cannot see the lines. */
  #describe(): void {
    const { title, format, empty } = this.#options
    const now = this.#lines.map(({ values }) => values.at(-1) ?? null)
    const known = this.#lines.map(({ values }) => values.filter((value) => value !== null))
    const isEmpty = known.every(({ length }) => length === 0)
    this.#empty.hidden = !isEmpty
    const said = this.#lines.map(({ name }, at) => {
      const values = known[at] as number[]
      return `${name} ${format(now[at] as number | null)}, at most ${format(values.length === 0 ? null : Math.max(...values))}`
    })
    this.#plot.setAttribute('aria-label', isEmpty ? `${title}. ${empty}` : `${title}, now. ${said.join('; ')}`)
    const { dataset } = this.figure
    dataset.points = String(Math.max(0, ...known.map(({ length }) => length)))
    dataset.last = JSON.stringify(Object.fromEntries(this.#lines.map(({ name }, at) => [name, now[at]])))
    this.#label()
  }

  #label(): void {
    const at = this.#chart?.cursor.idx ?? this.#seconds.length - 1
    const values = this.#legend.querySelectorAll('.legend-value')
    for (const [place, line] of this.#lines.entries()) {
      const value = values[place]
      if (value) value.textContent = this.#options.format(line.values[at] ?? null)
    }
  }
}

function seriesOf({ name, colour }: ChartLine): uPlot.Series {
  return {
    label: name,
    stroke: () => colourOf(`--series-${colour % COLOURS}`),
    width: 1.5,
    ...(colour >= COLOURS && { dash: DASH }),
    points: { show: false }
  }
}

/** The attributes by which dashboard.css paints a line's mark. */
export function swatchOf(colour: number): Record<string, string> {
  return { series: String(colour % COLOURS), dashed: String(colour >= COLOURS) }
}

function colourOf(property: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(property)
}

// Slightly more than the decade still counts as the decade: 0.1 + 0.2 is more than 0.3.
function decadeAbove(value: number): number {
  return 10 ** Math.ceil(Math.log10(value) - 1e-9)
}

/** The powers of ten from one bound to the other. */
function decades(low: number, high: number): number[] {
  const first = Math.round(Math.log10(low))
  const count = Math.round(Math.log10(high)) - first + 1
  return Array.from({ length: count }, (_, at) => 10 ** (first + at))
}
