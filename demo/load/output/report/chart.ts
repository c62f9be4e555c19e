import { escapeHtml } from './escape.ts'
import type { Scale } from './scale.ts'

export type Colour = 'blue' | 'amber' | 'red' | 'green' | 'violet'

/** A line of a chart: its value at each of the chart's times, or null if there is none. */
export interface Series {
  readonly name: string
  readonly colour: Colour
  readonly values: readonly (number | null)[]
  /** It has values at some of the times only: the line goes from one to the next. */
  readonly isSparse?: boolean
}

/** A shaded time range, or a marked moment if both ends are the same. */
export interface Mark {
  readonly name: string
  readonly from: number
  readonly to: number
}

export interface LineChart {
  readonly title: string
  /** The width of the page. */
  readonly isWide?: boolean
  /** Seconds. */
  readonly times: readonly number[]
  readonly x: Scale
  readonly y: Scale
  readonly series: readonly Series[]
  readonly marks: readonly Mark[]
  /** A value as the axis and the tooltips show it. */
  format(value: number): string
}

export interface Bar {
  readonly from: number
  readonly to: number
  readonly count: number
}

export interface BarChart {
  readonly title: string
  readonly bars: readonly Bar[]
  readonly x: Scale
  /** Places along the x axis to name. */
  readonly marks: readonly { readonly name: string; readonly at: number; readonly colour: Colour }[]
  format(value: number): string
}

// The plot's own units. It is stretched to the available room, and its labels are text beside it.
const SIZE = 1000
// A bar of one among millions must be visible.
const LEAST_BAR = 6
// From here on a label centred below its place would extend beyond the chart.
const NEAR_END = 0.96

export function lineChart(chart: LineChart): string {
  const { title, isWide = false, series, x, y, marks, times, format } = chart
  const place = (at: number, value: number) => `${coordinate(x.at(at))},${coordinate(1 - y.at(value))}`
  const lines = series.map((one) => `<path class="line ${one.colour}" d="${path(times, one, place)}"/>`)
  const slots = times.map((time, at) => slot(chart, time, at)).join('')
  const shown = marks.map((mark) => {
    const [from, to] = [x.at(mark.from) * SIZE, x.at(mark.to) * SIZE]
    return from === to
      ? `<path class="moment" d="M${round(from)},0V${SIZE}"/>`
      : `<rect class="band" x="${round(from)}" y="0" width="${round(to - from)}" height="${SIZE}"/>`
  })
  const summary = series.map(({ name, values }) => `${name} ${rangeOf(values, format)}`).join('; ')
  const keys = series.map(({ name, colour }) => `<li class="key ${colour}">${escapeHtml(name)}</li>`)
  const markKeys = marks.map(
    ({ name, from, to }) => `<li class="key ${from === to ? 'moment' : 'band'}">${escapeHtml(name)}</li>`
  )
  return figure({
    title,
    isWide,
    // The marks are the same in all charts, and the wide chart has room for their names.
    legend: isWide ? [...keys, ...markKeys] : keys,
    summary,
    shapes: [...shown, grid(y), ...lines, slots].join(''),
    xLabels: labels(x, 'left', (value) => `${value} s`),
    yLabels: labels(y, 'bottom', format)
  })
}

export function barChart({ title, bars, x, marks, format }: BarChart): string {
  const most = bars.reduce((highest, { count }) => Math.max(highest, count), 0)
  const shapes = bars.map(({ from, to, count }) => {
    const [left, right] = [x.at(from) * SIZE, x.at(to) * SIZE]
    const height = count === 0 ? 0 : Math.max(LEAST_BAR, (count / most) * SIZE * 0.94)
    const tip = `${format(from)} to ${format(to)}: ${count.toLocaleString('en-US')}`
    const rect = `<rect class="bar" x="${round(left)}" y="${round(SIZE - height)}" width="${round(right - left)}" height="${round(height)}"/>`
    return `<g class="slot">${rect}${hit(left, right)}<title>${escapeHtml(tip)}</title></g>`
  })
  const lines = marks.map(({ at, colour }) => `<path class="limit ${colour}" d="M${coordinate(x.at(at))},0V${SIZE}"/>`)
  const legend = marks.map(({ name, colour }) => `<li class="key ${colour}">${escapeHtml(name)}</li>`)
  const summary = marks.map(({ name }) => name).join('; ')
  return figure({
    title,
    isWide: false,
    legend,
    summary,
    shapes: [...shapes, ...lines].join(''),
    xLabels: labels(x, 'left', format),
    yLabels: ''
  })
}

interface Figure {
  readonly title: string
  readonly isWide: boolean
  readonly legend: readonly string[]
  /** The description for readers who cannot see it. */
  readonly summary: string
  readonly shapes: string
  readonly xLabels: string
  readonly yLabels: string
}

function figure({ title, isWide, legend, summary, shapes, xLabels, yLabels }: Figure): string {
  const label = escapeHtml(`${title}: ${summary}`)
  return `<figure class="chart${isWide ? ' wide' : ''}">
<figcaption><h3>${escapeHtml(title)}</h3><ul class="legend">${legend.join('')}</ul></figcaption>
<div class="plot"><div class="y-axis" aria-hidden="true">${yLabels}</div>
<svg viewBox="0 0 ${SIZE} ${SIZE}" preserveAspectRatio="none" role="img" aria-label="${label}">${shapes}</svg>
<div class="x-axis" aria-hidden="true">${xLabels}</div></div>
</figure>`
}

/** The tooltip: the figures of the moment under the pointer. */
function slot({ times, x, series, format }: LineChart, time: number, at: number): string {
  const before = times[at - 1] ?? time
  const after = times[at + 1] ?? time
  const middle = x.at(time) * SIZE
  const said = series.flatMap(({ name, values }) => {
    const value = values[at] ?? null
    return value === null ? [] : [`${name}: ${format(value)}`]
  })
  const tip = [`${time.toFixed(1)} s`, ...said].join('\n')
  const area = hit(x.at((before + time) / 2) * SIZE, x.at((time + after) / 2) * SIZE)
  return `<g class="slot">${area}<path class="cross" d="M${round(middle)},0V${SIZE}"/><title>${escapeHtml(tip)}</title></g>`
}

function hit(left: number, right: number): string {
  return `<rect class="hit" x="${round(left)}" y="0" width="${round(Math.max(0, right - left))}" height="${SIZE}"/>`
}

/** Interrupted if there is no value, unless the series is sparse. */
function path(
  times: readonly number[],
  { values, isSparse = false }: Series,
  place: (time: number, value: number) => string
): string {
  let pen = 'M'
  let drawn = ''
  for (const [at, time] of times.entries()) {
    const value = values[at] ?? null
    if (value === null) {
      if (!isSparse) pen = 'M'
      continue
    }
    // A value between two gaps would be a line of no length. Round ends make it a dot.
    drawn += `${pen}${place(time, value)}${pen === 'M' ? 'h0' : ''}`
    pen = 'L'
  }
  return drawn
}

function grid(y: Scale): string {
  return y.ticks.map((tick) => `<path class="grid" d="M0,${coordinate(1 - y.at(tick))}H${SIZE}"/>`).join('')
}

function labels(scale: Scale, side: 'left' | 'bottom', format: (value: number) => string): string {
  return scale.ticks
    .map((tick) => {
      const at = scale.at(tick)
      const isLast = side === 'left' && at > NEAR_END
      const place = `${side}:${round(at * 100)}%`
      return `<span${isLast ? ' class="last"' : ''} style="${place}">${escapeHtml(format(tick))}</span>`
    })
    .join('')
}

function rangeOf(values: readonly (number | null)[], format: (value: number) => string): string {
  const present = values.filter((value) => value !== null)
  if (present.length === 0) return 'not measured'
  const least = present.reduce((low, value) => Math.min(low, value))
  const most = present.reduce((high, value) => Math.max(high, value))
  return `from ${format(least)} to ${format(most)}`
}

function coordinate(share: number): string {
  return round(share * SIZE)
}

function round(value: number): string {
  return String(Math.round(value * 10) / 10)
}
