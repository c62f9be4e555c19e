import type { LoadResult, Moment } from '../../result.ts'
import { formatCount, formatTime } from '../units.ts'
import { barChart, lineChart, type Mark, type Series } from './chart.ts'
import { linearScale, logScale, type Scale, timeScale } from './scale.ts'

const EARLIEST = 0.05
const MEBIBYTE = 1024 * 1024

/** All plots of a run, as HTML, without those of unreliable times. */
export function plotsOf(result: LoadResult): string[] {
  const { timeline, latency } = result
  if (timeline.length < 2) return []
  const isCredible = !('notReported' in latency)
  return [
    ...(isCredible && latency.count > 0 ? [latencyOverTime(result), latencyDistribution(result)] : []),
    connections(result),
    rates(result),
    cpu(result),
    loopDelay(result),
    ...(timeline.some(({ serverMemory }) => serverMemory !== null) ? [memory(result)] : [])
  ]
}

function latencyDistribution({ distribution, latency }: LoadResult): string {
  if ('notReported' in latency) return ''
  const first = distribution[0]
  const last = distribution.at(-1)
  return barChart({
    title: 'Deliveries by latency',
    bars: distribution,
    x: logScale(Math.max(EARLIEST, first?.from ?? EARLIEST), last?.to ?? 1),
    marks: [
      { name: `p50 ${formatTime(latency.p50)}`, at: latency.p50, colour: 'green' },
      { name: `p99 ${formatTime(latency.p99)}`, at: latency.p99, colour: 'amber' },
      { name: `max ${formatTime(latency.max)}`, at: latency.max, colour: 'red' }
    ],
    format: shortTime
  })
}

function latencyOverTime(result: LoadResult): string {
  const { timeline } = result
  const all = timeline.flatMap(({ p50, max }) => (p50 === null || max === null ? [] : [p50, max]))
  const least = all.reduce((low, value) => Math.min(low, value), Number.POSITIVE_INFINITY)
  const most = all.reduce((high, value) => Math.max(high, value), EARLIEST)
  const series: Series[] = [
    { name: 'p50', colour: 'green', values: timeline.map(({ p50 }) => p50) },
    { name: 'p99', colour: 'amber', values: timeline.map(({ p99 }) => p99) },
    { name: 'max', colour: 'red', values: timeline.map(({ max }) => max) }
  ]
  return overTime(result, 'Latency', logScale(Math.max(EARLIEST, least), most), shortTime, series, true)
}

function rates(result: LoadResult): string {
  const perSecond = (count: (moment: Moment) => number) => result.timeline.map((moment) => count(moment) / moment.span)
  const delivered = perSecond(({ delivered }) => delivered)
  return overTime(result, 'Deliveries a second', linearScale(highest(delivered)), formatCount, [
    { name: 'delivered', colour: 'blue', values: delivered }
  ])
}

function connections(result: LoadResult): string {
  const values = result.timeline.map(({ connected }) => connected)
  return overTime(result, 'Connections', linearScale(highest(values)), formatCount, [
    { name: 'connected', colour: 'blue', values }
  ])
}

function cpu(result: LoadResult): string {
  const own = result.timeline.map(({ generatorCpu }) => generatorCpu)
  const server = result.timeline.map(({ serverCpu }) => serverCpu)
  const percent = (cores: number) => `${Math.round(cores * 100)} %`
  const scale = linearScale(highest([...own, ...server]))
  return overTime(result, 'CPU, of one core', scale, percent, [
    ...(server.some((value) => value !== null)
      ? [{ name: 'server', colour: 'violet' as const, values: server, isSparse: true }]
      : []),
    { name: 'load generator', colour: 'blue', values: own }
  ])
}

function loopDelay(result: LoadResult): string {
  const values = result.timeline.map(({ loopDelay }) => loopDelay.max)
  return overTime(result, 'Lateness of the generator’s event loop', linearScale(highest(values)), shortTime, [
    { name: 'max', colour: 'amber', values }
  ])
}

function memory(result: LoadResult): string {
  const mebibytes = (bytes: number | null) => (bytes === null ? null : bytes / MEBIBYTE)
  const values = result.timeline.map(({ serverMemory }) => mebibytes(serverMemory))
  const format = (value: number) => `${formatCount(value)} MiB`
  return overTime(result, 'Memory of the server', linearScale(highest(values)), format, [
    { name: 'resident', colour: 'violet', values, isSparse: true }
  ])
}

function overTime(
  result: LoadResult,
  title: string,
  y: Scale,
  format: (value: number) => string,
  series: readonly Series[],
  isWide = false
): string {
  const times = result.timeline.map(({ at }) => at)
  const x = timeScale(times.at(-1) as number)
  return lineChart({ title, isWide, times, x, y, series, marks: marksOf(result), format })
}

/** The time of the messages, and the time of the storm. */
function marksOf({ timeline, messages, storm }: LoadResult): Mark[] {
  const first = timeline.find(({ phase }) => phase === 'sending')
  if (first === undefined) return []
  const from = Math.max(0, first.at - first.span)
  const length = messages.duration / 1000
  const marks: Mark[] = [{ name: 'messages are sent', from, to: from + length }]
  if (storm !== null) marks.push({ name: 'all connections are cut', from: from + length / 2, to: from + length / 2 })
  return marks
}

function highest(values: readonly (number | null)[]): number {
  return values.reduce<number>((most, value) => Math.max(most, value ?? 0), 0)
}

/** As few digits as an axis needs: `0.5 ms`, `20 ms`, `2 s`. */
function shortTime(milliseconds: number): string {
  if (milliseconds >= 1000) return `${trimmed(milliseconds / 1000)} s`
  return `${trimmed(milliseconds)} ms`
}

function trimmed(value: number): string {
  return String(Number(value.toPrecision(3)))
}
