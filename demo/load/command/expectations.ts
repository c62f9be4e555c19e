import type { LoadResult, Percentiles, Times } from '../result.ts'

/** A condition on a figure of the result. */
export interface Expectation {
  /** The condition as given. */
  readonly condition: string
  readonly figure: string
  readonly operator: string
  readonly value: number
}

export interface Verdict {
  readonly condition: string
  readonly held: boolean
  /** The measured value; null if there is none. */
  readonly measured: number | null
  /** Why nothing was measured. */
  readonly reason?: string
}

/** The condition is wrong; the message says what to give. */
export class ExpectationError extends Error {
  override readonly name = 'ExpectationError'
}

interface Figure {
  readonly meaning: string
  /** The figure, or the reason why there is none. */
  read(result: LoadResult): number | string
}

const sum = (counts: Readonly<Record<string, number>>) => Object.values(counts).reduce((total, one) => total + one, 0)
const MEBIBYTE = 1024 * 1024

function time(times: Times, name: keyof Percentiles): number | string {
  if ('notReported' in times) return times.notReported
  return times.count === 0 ? 'nothing was measured' : times[name]
}

const latency = (name: keyof Percentiles) => (result: LoadResult) => time(result.latency, name)
const connectTime = (name: keyof Percentiles) => (result: LoadResult) => time(result.connectTime, name)

/** The figures for conditions, by name. */
export const FIGURES: Readonly<Record<string, Figure>> = {
  lost: { meaning: 'deliveries that were due and never arrived', read: ({ messages }) => messages.lost },
  duplicated: { meaning: 'deliveries that arrived again', read: ({ messages }) => messages.duplicated },
  'out-of-order': { meaning: 'deliveries after a later one', read: ({ messages }) => messages.outOfOrder },
  misdirected: { meaning: 'deliveries on a wrong channel', read: ({ messages }) => messages.misdirected },
  delivered: { meaning: 'deliveries', read: ({ messages }) => messages.delivered },
  published: { meaning: 'messages published', read: ({ messages }) => messages.published },
  rejected: { meaning: 'messages that the server refused', read: ({ messages }) => sum(messages.rejections) },
  unconfirmed: { meaning: 'messages cut off before an answer', read: ({ messages }) => messages.unconfirmed },
  connected: { meaning: 'connections that took part', read: ({ connections }) => connections.opened },
  'at-end': { meaning: 'connections at the end', read: ({ connections }) => connections.atEnd },
  refused: { meaning: 'handshakes answered with a status', read: ({ connections }) => sum(connections.refused) },
  failed: { meaning: 'attempts to connect without an answer', read: ({ connections }) => sum(connections.failed) },
  closes: { meaning: 'connections not ended by this side', read: ({ connections }) => sum(connections.closes) },
  recovered: { meaning: 'recoveries with all missed messages', read: ({ recoveries }) => recoveries.recovered },
  'not-recovered': { meaning: 'recoveries that were refused', read: ({ recoveries }) => recoveries.notRecovered },
  storm: {
    meaning: 'ms until all were connected again after the storm',
    read: ({ storm }) => (storm === null ? 'there was no storm' : (storm.milliseconds ?? 'not all came back'))
  },
  mean: { meaning: 'latency in ms: the mean', read: latency('mean') },
  p50: { meaning: 'latency in ms: half are no slower', read: latency('p50') },
  p90: { meaning: 'latency in ms: 90 %', read: latency('p90') },
  p99: { meaning: 'latency in ms: 99 %', read: latency('p99') },
  'p99.9': { meaning: 'latency in ms: 99.9 %', read: latency('p99.9') },
  max: { meaning: 'latency in ms: the slowest', read: latency('max') },
  'connect-p50': { meaning: 'connect time in ms: half', read: connectTime('p50') },
  'connect-p99': { meaning: 'connect time in ms: 99 %', read: connectTime('p99') },
  'connect-max': { meaning: 'connect time in ms: the slowest', read: connectTime('max') },
  'server-cpu': {
    meaning: 'CPU of the server while sending, in cores',
    read: ({ server }) => server?.cpu ?? 'the CPU of the server is not known'
  },
  'server-memory': {
    meaning: 'memory of the server in MiB, the most',
    read: ({ server }) => (server?.memory ? server.memory / MEBIBYTE : 'the memory of the server is not known')
  }
}

const OPERATORS: Readonly<Record<string, (measured: number, value: number) => boolean>> = {
  '=': (measured, value) => measured === value,
  '==': (measured, value) => measured === value,
  '!=': (measured, value) => measured !== value,
  '<': (measured, value) => measured < value,
  '<=': (measured, value) => measured <= value,
  '>': (measured, value) => measured > value,
  '>=': (measured, value) => measured >= value
}

const CONDITION = /^\s*([\w.-]+?)\s*(==|!=|<=|>=|=|<|>)\s*(\d+(?:\.\d+)?)\s*$/

/** Reads `lost=0`, `p99 < 250`… Throws an ExpectationError. */
export function parseExpectation(condition: string): Expectation {
  const [, figure = '', operator = '', value] = CONDITION.exec(condition) ?? []
  if (value === undefined) {
    throw new ExpectationError(
      `--expect '${condition}': write a figure, one of ${Object.keys(OPERATORS).join(' ')}, and a number, such as 'p99<250'`
    )
  }
  if (!Object.hasOwn(FIGURES, figure)) {
    throw new ExpectationError(
      `--expect '${condition}': there is no figure '${figure}'; there are ${Object.keys(FIGURES).join(', ')}`
    )
  }
  return { condition, figure, operator, value: Number(value) }
}

/** Whether a condition held. Without a measured value no condition holds. */
export function judge({ condition, figure, operator, value }: Expectation, result: LoadResult): Verdict {
  const measured = (FIGURES[figure] as Figure).read(result)
  if (typeof measured === 'string') return { condition, held: false, measured: null, reason: measured }
  const holds = OPERATORS[operator] as (measured: number, value: number) => boolean
  return { condition, held: holds(measured, value), measured }
}
