import type { Buckets } from '../../../node/figures.ts'
import type { Snapshot } from '../../messages.ts'
import { connectionsOf } from '../model/cluster.ts'
import { bytes, count, latency, rate as perSecond } from '../model/format.ts'
import { type Frame, type Line, level, percentiles, rate, total } from '../model/timeline.ts'
import { Chart, type ChartLine, type ChartOptions } from './chart.ts'
import { element, inside } from './element.ts'

/* The charts, and the figures that they show. */

interface Definition extends ChartOptions {
  lines(frame: Frame): ChartLine[]
  head(lines: readonly ChartLine[]): string
}

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
const last = (values: Line | undefined) => values?.at(-1) ?? null
const sumOf = (lines: readonly ChartLine[]) => last(total(lines.map(({ values }) => values)))
const percent = (value: number | null) => (value === null ? '–' : `${Math.round(value * 100)} %`)

const CHARTS: readonly Definition[] = [
  {
    id: 'connections',
    title: 'Connections',
    note: 'Open, by node',
    empty: 'No node is known yet',
    format: count,
    least: 5,
    lines: ({ tracks }) =>
      tracks.map((track) => ({
        name: track.node.label,
        colour: track.node.colour,
        values: level(track, connectionsOf)
      })),
    head: (lines) => count(sumOf(lines))
  },
  {
    id: 'messages',
    title: 'Messages',
    note: 'Per second, all nodes',
    empty: 'Rates need two snapshots',
    format: perSecond,
    least: 5,
    lines: ({ tracks }) => [
      { name: 'in', colour: BLUE, values: total(tracks.map((track) => rate(track, ({ received }) => received))) },
      { name: 'out', colour: GREEN, values: total(tracks.map((track) => rate(track, ({ sent }) => sent))) }
    ],
    head: (lines) => `${perSecond(sumOf(lines))} /s`
  },
  {
    id: 'busy',
    title: 'Event loop',
    note: 'Share of the time that it is busy, by node',
    empty: 'No node is known yet',
    format: percent,
    least: 0.2,
    lines: ({ tracks }) =>
      tracks.map((track) => ({
        name: track.node.label,
        colour: track.node.colour,
        values: level(track, ({ busy }) => busy)
      })),
    head: (lines) => {
      const known = lines.map(({ values }) => last(values)).filter((value) => value !== null)
      return percent(known.length === 0 ? null : Math.max(...known))
    }
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
    head: (lines) => `p99 ${latency(last(lines[2]?.values))}`
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
    head: (lines) => `p99 ${latency(last(lines[2]?.values))}`
  },
  {
    id: 'buffered',
    title: 'Slow readers',
    note: 'Bytes that wait to be read, all nodes',
    empty: 'No node is known yet',
    format: bytes,
    least: 1_024,
    increments: POWERS_OF_TWO,
    lines: ({ tracks }) => [
      { name: 'waiting', colour: AMBER, values: total(tracks.map((track) => level(track, ({ buffered }) => buffered))) }
    ],
    head: ([waiting]) => bytes(last(waiting?.values))
  }
]

/** All charts, and the same figures as a table. */
export class Charts {
  readonly #charts: { readonly definition: Definition; readonly chart: Chart }[]
  readonly #details: HTMLDetailsElement

  constructor(grid: HTMLElement, details: HTMLDetailsElement) {
    this.#charts = CHARTS.map((definition) => {
      const figure = element('figure', { className: 'card chart', id: `chart-${definition.id}` })
      grid.append(figure)
      return { definition, chart: new Chart(figure, definition) }
    })
    this.#details = details
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#redraw())
  }

  show(frame: Frame): void {
    const shown = this.#charts.map(({ definition, chart }) => {
      const lines = definition.lines(frame)
      chart.show(frame.seconds, lines, definition.head(lines))
      return { definition, lines }
    })
    if (this.#details.open) inside(this.#details, 'tbody').replaceChildren(...shown.flatMap(rowsOf))
  }

  #redraw(): void {
    for (const { chart } of this.#charts) chart.redraw()
  }
}

function percentileLines(frame: Frame, read: (snapshot: Snapshot) => Buckets, width: number): ChartLine[] {
  const values = percentiles(frame, read, { shares: SHARES, width })
  return SHARE_LINES.map((line, at) => ({ ...line, values: values[at] as Line }))
}

function rowsOf({ definition: { title, format }, lines }: { definition: Definition; lines: readonly ChartLine[] }) {
  return lines.map(({ name, values }) => {
    const known = values.filter((value) => value !== null)
    const figures = known.length === 0 ? [null, null, null] : [last(values), Math.min(...known), Math.max(...known)]
    const heading = element('th', { scope: 'row', textContent: `${title}: ${name}` })
    return element('tr', {}, heading, ...figures.map((figure) => element('td', { textContent: format(figure) })))
  })
}
