import type { LoadResult, Percentiles, Times } from '../result.ts'
import { formatCount, formatCpu, formatMemory, formatTally, formatTime } from './units.ts'

/** A name, and its measured value, as text. */
export type Row = readonly [name: string, figure: string]

/** Rows under a heading. */
export interface Section {
  readonly heading: string
  readonly rows: readonly Row[]
}

const PERCENTILES = ['p50', 'p90', 'p99', 'p99.9', 'max'] as const

/** The results of a run, as the terminal and the HTML report show them. */
export function sectionsOf(result: LoadResult): Section[] {
  return [
    { heading: 'Connections', rows: connectionRows(result) },
    { heading: 'Messages', rows: messageRows(result) },
    { heading: 'Latency', rows: timeRows(result.latency) },
    ...disturbanceSections(result),
    { heading: 'Load generator', rows: generatorRows(result) },
    { heading: 'Server', rows: serverRows(result) }
  ]
}

/** The run in a sentence. */
export function titleOf({ protocol, asked }: LoadResult): string {
  const count = plural(asked.groups, protocol === 'channels' ? 'channel' : 'room')
  const over = protocol === 'echo' ? 'to an echo route' : `over ${count}`
  return `${plural(asked.connections, 'connection')} ${over}, ${plural(asked.rate, 'message')} a second`
}

function plural(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`
}

function connectionRows({ connections, connectTime, asked }: LoadResult): Row[] {
  return [
    [
      'opened',
      `${formatCount(connections.opened)} of ${formatCount(asked.connections)} in ${formatTime(connections.ramp)}`
    ],
    ['connect time', inline(connectTime)],
    ['refused, by status', formatTally(connections.refused)],
    ['failed', formatTally(connections.failed)],
    ['closes, by code', formatTally(connections.closes)],
    ['reconnections', formatCount(connections.reconnections)],
    ['at the end', formatCount(connections.atEnd)]
  ]
}

function messageRows({ messages }: LoadResult): Row[] {
  const seconds = messages.duration / 1000
  const rate = (count: number) => (seconds === 0 ? '' : ` (${formatCount(count / seconds)}/s)`)
  const rows: Row[] = [
    [
      'published',
      `${formatCount(messages.published)}${rate(messages.published)} by ${plural(messages.publishers, 'publisher')}`
    ],
    ['delivered', `${formatCount(messages.delivered)}${rate(messages.delivered)}`],
    ['lost', formatCount(messages.lost)],
    ['duplicated', formatCount(messages.duplicated)],
    ['out of order', formatCount(messages.outOfOrder)]
  ]
  if (messages.misdirected > 0) rows.push(['on a wrong channel', formatCount(messages.misdirected)])
  if (messages.refused > 0) rows.push(['refused, by code', formatTally(messages.rejections)])
  if (messages.unconfirmed > 0) rows.push(['cut off unanswered', formatCount(messages.unconfirmed)])
  if (messages.announcedDrops > 0) rows.push(['of these announced', formatCount(messages.announcedDrops)])
  return rows
}

function timeRows(times: Times): Row[] {
  if ('notReported' in times) return [['not reported', times.notReported]]
  if (times.count === 0) return [['not measured', 'nothing was delivered']]
  return PERCENTILES.map((name) => [name, formatTime(times[name])] as const)
}

function inline(times: Times): string {
  if ('notReported' in times) return `not reported: ${times.notReported}`
  if (times.count === 0) return 'not measured'
  return PERCENTILES.map((name: keyof Percentiles) => `${name} ${formatTime(times[name])}`).join(', ')
}

function disturbanceSections({ storm, recoveries, asked }: LoadResult): Section[] {
  const rows: Row[] = []
  if (storm !== null) {
    rows.push(['cut at once', formatCount(storm.cut)])
    const { back, milliseconds } = storm
    rows.push([
      'back',
      `${formatCount(back)}${milliseconds === null ? '' : `, the last after ${formatTime(milliseconds)}`}`
    ])
  }
  if (asked.slowReaders > 0) rows.push(['slow readers', `${formatCount(asked.slowReaders)}, not in the latencies`])
  if (rows.length === 0 && recoveries.recovered + recoveries.notRecovered === 0) return []
  rows.push(['recovered', formatCount(recoveries.recovered)], ['not recovered', formatCount(recoveries.notRecovered)])
  return [{ heading: 'Disturbances', rows }]
}

function generatorRows({ generator }: LoadResult): Row[] {
  const { cpu, memory, loopDelay, lateness } = generator
  return [
    ['CPU', formatCpu(cpu)],
    ['memory', formatMemory(memory)],
    [
      'event loop late by',
      `p50 ${formatTime(loopDelay.p50)}, p99 ${formatTime(loopDelay.p99)}, max ${formatTime(loopDelay.max)}`
    ],
    [
      'messages left late by',
      `p50 ${formatTime(lateness.p50)}, p99 ${formatTime(lateness.p99)}, max ${formatTime(lateness.max)}`
    ]
  ]
}

function serverRows({ server }: LoadResult): Row[] {
  if (server === null) return [['not known', 'it is not on this machine, and has no /metrics that say so']]
  const count = server.processes ?? 1
  const source =
    server.source === 'metrics' ? 'its /metrics' : `the kernel, ${count} ${count === 1 ? 'process' : 'processes'}`
  return [
    ['CPU', server.cpu === null ? 'not known' : formatCpu(server.cpu)],
    ['memory', server.memory === null ? 'not known' : formatMemory(server.memory)],
    ['according to', source]
  ]
}
