import { Chart } from './chart.js'
import { connectionsOf } from './cluster.js'
import { element } from './element.js'
import { bytes, count, latency, rate as perSecond } from './format.js'
import { level, percentiles, rate, total } from './timeline.js'

/* The charts, and the figures that they show. */

const BLUE = 0
const GREEN = 1
const AMBER = 2
const VIOLET = 4
const CYAN = 5
const POWERS_OF_TWO = Array.from({ length: 50 }, (_, at) => 2 ** at)
const SHARES = [0.5, 0.9, 0.99]
const SHARE_LINES = [
  { name: 'p50', colour: CYAN },
  { name: 'p90', colour: BLUE },
  { name: 'p99', colour: VIOLET }
]
const last = (values) => values.at(-1) ?? null

/** @type {(import('./chart.js').ChartOptions & { lines(frame: object): object[], head(lines: object[]): string })[]} */
const CHARTS = [
  {
    id: 'connections',
    title: 'Connections',
    note: 'Open, by node',
    empty: 'No node has been heard yet',
    format: count,
    least: 5,
    lines: ({ tracks }) =>
      tracks.map((track) => ({
        name: track.node.name,
        colour: track.node.colour,
        values: level(track, connectionsOf)
      })),
    head: (lines) => count(last(total(lines.map(({ values }) => values))))
  },
  {
    id: 'messages',
    title: 'Messages',
    note: 'Per second, all nodes, this dashboard’s own too',
    empty: 'Rates need two snapshots',
    format: perSecond,
    least: 5,
    lines: ({ tracks }) => [
      { name: 'in', colour: BLUE, values: total(tracks.map((track) => rate(track, ({ received }) => received))) },
      { name: 'out', colour: GREEN, values: total(tracks.map((track) => rate(track, ({ sent }) => sent))) }
    ],
    head: ([received, sent]) => `${perSecond(last(total([received.values, sent.values])))} /s`
  },
  {
    id: 'buffered',
    title: 'Slow readers',
    note: 'Bytes that wait to be read, all nodes',
    empty: 'No node has been heard yet',
    format: bytes,
    least: 1_024,
    increments: POWERS_OF_TWO,
    lines: ({ tracks }) => [
      { name: 'waiting', colour: AMBER, values: total(tracks.map((track) => level(track, ({ buffered }) => buffered))) }
    ],
    head: ([waiting]) => bytes(last(waiting.values))
  },
  {
    id: 'lag',
    title: 'Delivery lag',
    note: 'From a publication to its being written to sockets, over 10 s',
    empty: 'Nothing was delivered in this time',
    format: latency,
    least: 0.01,
    logarithmic: true,
    lines: (frame) => percentileLines(frame, ({ lag }) => lag, 10),
    head: (lines) => `p99 ${latency(last(lines[2].values))}`
  },
  {
    id: 'round-trip',
    title: 'Round trip',
    note: 'From ping to pong, over 30 s',
    empty: 'No ping was answered in this time',
    format: latency,
    least: 0.01,
    logarithmic: true,
    lines: (frame) => percentileLines(frame, ({ roundTrip }) => roundTrip, 30),
    head: (lines) => `p99 ${latency(last(lines[2].values))}`
  }
]

/** All charts, and the same figures as a table. */
export class Charts {
  #charts
  #details
  #rows

  /** @param {{ grid: HTMLElement, details: HTMLDetailsElement }} places */
  constructor({ grid, details }) {
    this.#charts = CHARTS.map((options) => {
      const figure = grid.appendChild(element('figure', { className: 'card chart', id: `chart-${options.id}` }))
      return { options, chart: new Chart(figure, options) }
    })
    this.#details = details
    this.#rows = details.querySelector('tbody')
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#redraw())
  }

  /** @param {import('./timeline.js').Frame} frame */
  show(frame) {
    const shown = this.#charts.map(({ options, chart }) => {
      const lines = options.lines(frame)
      chart.show(frame.seconds, lines, options.head(lines))
      return { options, lines }
    })
    if (this.#details.open) this.#rows.replaceChildren(...shown.flatMap(rowsOf))
  }

  #redraw() {
    for (const { chart } of this.#charts) chart.redraw()
  }
}

function percentileLines(frame, read, width) {
  const values = percentiles(frame, read, { shares: SHARES, width })
  return SHARE_LINES.map((line, at) => ({ ...line, values: values[at] }))
}

function rowsOf({ options: { title, format }, lines }) {
  return lines.map(({ name, values }) => {
    const known = values.filter((value) => value !== null)
    const figures = known.length === 0 ? [null, null, null] : [last(values), Math.min(...known), Math.max(...known)]
    const heading = element('th', { scope: 'row', textContent: `${title}: ${name}` })
    return element('tr', {}, heading, ...figures.map((figure) => element('td', { textContent: format(figure) })))
  })
}
