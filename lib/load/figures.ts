import { InvalidArgumentError } from 'commander'
import type { Counts } from './journal.ts'
import type { LoadResult } from './summary.ts'
import type { Percentiles } from './times.ts'

/** A figure has the same name in the table, in the report and in `--expect`. */
type Figure = readonly [
  name: string,
  section: string,
  meaning: string,
  unit: keyof typeof UNITS,
  /** The figure, or the reason why there is none. */
  read: (result: LoadResult) => number | string,
  /** What else people read beside it. */
  more?: (result: LoadResult) => string
]

export interface Expectation {
  readonly condition: string
  readonly figure: Figure
  readonly operator: string
  readonly value: number
}

const UNITS = {
  count: formatCount,
  ms: formatTime,
  cores: (cores: number) => `${Math.round(cores * 100)} % of a core`,
  MiB: (mebibytes: number) => `${formatCount(mebibytes)} MiB`
}
const MEBIBYTE = 1024 * 1024
const UNKNOWN = 'not known: the server has no /metrics that say so'
const [CONNECTIONS, MESSAGES, LATENCY, FAULTS, USAGE] = ['Connections', 'Messages', 'Latency', 'Faults', 'Usage']

const sum = (counts: Counts) => Object.values(counts).reduce((total, count) => total + count, 0)
const list = (counts: Counts) => {
  const entries = Object.entries(counts).map(([name, count]) => `${name}: ${formatCount(count)}`)
  return entries.length === 0 ? '' : ` (${entries.join(', ')})`
}
const rate = (count: number, { messages }: LoadResult) =>
  messages.duration === 0 ? '' : ` (${formatCount((count * 1000) / messages.duration)} a second)`
const time = (of: 'latency' | 'connectTime', name: keyof Percentiles) => (result: LoadResult) => {
  const times = result[of]
  if ('notReported' in times) return times.notReported
  return times.count === 0 ? 'nothing was measured' : times[name]
}

export const FIGURES: readonly Figure[] = [
  ['connected', CONNECTIONS, 'connections that took part', 'count', (r) => r.connections.opened, ramp],
  ['connect-p50', CONNECTIONS, 'time to connect: half are no slower', 'ms', time('connectTime', 'p50')],
  ['connect-p99', CONNECTIONS, 'time to connect: 99 % are no slower', 'ms', time('connectTime', 'p99')],
  ['connect-max', CONNECTIONS, 'time to connect: the slowest', 'ms', time('connectTime', 'max')],
  ['refused', CONNECTIONS, 'refused handshakes, by status', 'count', ...tally((r) => r.connections.refused)],
  ['failed', CONNECTIONS, 'failed attempts, by reason', 'count', ...tally((r) => r.connections.failed)],
  ['closes', CONNECTIONS, 'connections not ended by this tool', 'count', ...tally((r) => r.connections.closes)],
  ['reconnections', CONNECTIONS, 'connections that came back', 'count', (r) => r.connections.reconnections],
  ['at-end', CONNECTIONS, 'connections at the end', 'count', (r) => r.connections.atEnd],
  ['published', MESSAGES, 'messages published', 'count', (r) => r.messages.published, published],
  ['delivered', MESSAGES, 'deliveries', 'count', (r) => r.messages.delivered, (r) => rate(r.messages.delivered, r)],
  ['lost', MESSAGES, 'deliveries that were due and never arrived', 'count', (r) => r.messages.lost],
  ['duplicated', MESSAGES, 'deliveries that arrived again', 'count', (r) => r.messages.duplicated],
  ['out-of-order', MESSAGES, 'deliveries after a later one', 'count', (r) => r.messages.outOfOrder],
  ['misdirected', MESSAGES, 'deliveries on a wrong channel', 'count', (r) => r.messages.misdirected],
  ['rejected', MESSAGES, 'messages that the server refused, by code', 'count', ...tally((r) => r.messages.rejections)],
  ['unconfirmed', MESSAGES, 'messages cut off before an answer', 'count', (r) => r.messages.unconfirmed],
  ['mean', LATENCY, 'from due to received: the mean', 'ms', time('latency', 'mean')],
  ['p50', LATENCY, 'half are no slower', 'ms', time('latency', 'p50')],
  ['p90', LATENCY, '90 % are no slower', 'ms', time('latency', 'p90')],
  ['p99', LATENCY, '99 % are no slower', 'ms', time('latency', 'p99')],
  ['p99.9', LATENCY, '99.9 % are no slower', 'ms', time('latency', 'p99.9')],
  ['max', LATENCY, 'the slowest', 'ms', time('latency', 'max')],
  ['storm', FAULTS, 'time until all were back after the storm', 'ms', storm],
  ['recovered', FAULTS, 'recoveries with all missed messages', 'count', (r) => r.recoveries.recovered],
  ['not-recovered', FAULTS, 'recoveries that were refused', 'count', (r) => r.recoveries.notRecovered],
  ['server-cpu', USAGE, 'CPU of the server while sending', 'cores', (r) => r.server?.cpu ?? UNKNOWN],
  [
    'server-memory',
    USAGE,
    'memory of the server',
    'MiB',
    (r) => (r.server?.memory ?? Number.NaN) / MEBIBYTE || UNKNOWN
  ],
  ['tool-cpu', USAGE, 'CPU of this tool while sending', 'cores', (r) => r.tool.cpu],
  ['tool-memory', USAGE, 'memory of this tool', 'MiB', (r) => r.tool.memory / MEBIBYTE],
  ['tool-late', USAGE, 'lateness of this tool’s event loop: 99 %', 'ms', (r) => r.tool.loopDelay.p99]
]

function ramp({ asked, connections }: LoadResult): string {
  return ` of ${formatCount(asked.connections)} in ${formatTime(connections.ramp)}`
}

function published(result: LoadResult): string {
  const { publishers, published } = result.messages
  return `${rate(published, result)} by ${plural(publishers, 'publisher')}`
}

function storm(result: LoadResult): number | string {
  return result.storm === null ? 'there was no storm' : (result.storm.milliseconds ?? 'not all came back')
}

function tally(of: (result: LoadResult) => Counts): [(result: LoadResult) => number, (result: LoadResult) => string] {
  return [(result) => sum(of(result)), (result) => list(of(result))]
}

export function formatCount(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

/** `0.42 ms`, `17.3 ms`, `1.20 s`. */
export function formatTime(milliseconds: number): string {
  if (milliseconds >= 1000) return `${(milliseconds / 1000).toFixed(milliseconds >= 10_000 ? 1 : 2)} s`
  return `${milliseconds.toFixed(milliseconds >= 10 ? 1 : 2)} ms`
}

function plural(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`
}

export function titleOf({ protocol, transport, asked }: LoadResult): string {
  const count = plural(asked.groups, protocol.slice(0, -1))
  const over = protocol === 'echo' ? 'to an echo route' : `over ${count}`
  const by = transport === 'websocket' ? '' : ` (${transport})`
  return `${plural(asked.connections, 'connection')} ${over}${by}, ${plural(asked.rate, 'message')} a second`
}

/** The figures as people read them: `['Messages', 'lost', '0', 'deliveries that…']`. */
export function rowsOf(result: LoadResult): [section: string, name: string, figure: string, meaning: string][] {
  const isQuiet = result.storm === null && result.connections.reconnections === 0
  const shown = FIGURES.filter(([, section]) => section !== FAULTS || !isQuiet)
  return shown.map(([name, section, meaning, unit, read, more]) => {
    const value = read(result)
    const figure = typeof value === 'string' ? value : UNITS[unit](value) + (more?.(result) ?? '')
    return [section as string, name, figure, meaning]
  })
}

const OPERATORS: Readonly<Record<string, (measured: number, value: number) => boolean>> = {
  '=': (measured, value) => measured === value,
  '!=': (measured, value) => measured !== value,
  '<': (measured, value) => measured < value,
  '<=': (measured, value) => measured <= value,
  '>': (measured, value) => measured > value,
  '>=': (measured, value) => measured >= value
}
const CONDITION = /^\s*([\w.-]+?)\s*(!=|<=|>=|=|<|>)\s*(\d+(?:\.\d+)?)\s*$/

/** Reads `lost=0`, `p99 < 250`… Throws an InvalidArgumentError. */
export function parseExpectation(condition: string): Expectation {
  const [, name, operator = '', value] = CONDITION.exec(condition) ?? []
  const figure = FIGURES.find(([each]) => each === name)
  if (figure !== undefined) return { condition, figure, operator, value: Number(value) }
  const operators = Object.keys(OPERATORS).join(' ')
  throw new InvalidArgumentError(`Write a figure, one of ${operators}, and a number. --help lists the figures.`)
}

/** Whether a condition held, in words: `failed: p99<250, measured 312.5`. Without a measured value no condition holds. */
export function judge({ condition, figure: [, , , , read], operator, value }: Expectation, result: LoadResult) {
  const measured = read(result)
  const isMeasured = typeof measured === 'number'
  const held = isMeasured && OPERATORS[operator]?.(measured, value) === true
  const words = held
    ? `held: ${condition}`
    : `failed: ${condition}, ${isMeasured ? '' : 'not '}measured${isMeasured ? '' : ':'} ${measured}`
  return { condition, held, measured: isMeasured ? measured : null, words }
}

export function tableOf(result: LoadResult, verdicts: readonly ReturnType<typeof judge>[]): string {
  const lines = [titleOf(result), result.url]
  if (result.interrupted) lines.push('ended early; these are the figures so far')
  let last = ''
  for (const [section, name, figure] of rowsOf(result)) {
    if (section !== last) lines.push('', section)
    last = section
    lines.push(`  ${name.padEnd(16)}${figure}`)
  }
  for (const [heading, all] of [
    ['Note', result.warnings],
    ['Expectations', verdicts.map(({ words }) => words)]
  ] as const) {
    if (all.length > 0) lines.push('', heading, ...all.map((line) => `  ${line}`))
  }
  return `${lines.join('\n')}\n`
}
