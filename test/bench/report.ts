import type { Measured, Row } from './row.ts'

/** What came out for one subject of a row. */
export interface SubjectResult {
  readonly name: string
  /** The median of its runs, the least and the most. */
  readonly median: number
  readonly least: number
  readonly most: number
  /** The median over the control's. */
  readonly ratio: number
  /** What the ratio is expected to be at least (at most, where less is better). */
  readonly expected?: number
  /** Medians of the shares: how busy the generator and the server were. */
  readonly generator?: number
  readonly server?: number
  /** The worst of its runs: how much of the time another process had the CPU. */
  readonly contention: number
}

export interface RowResult {
  readonly name: string
  readonly title: string
  readonly unit: string
  readonly better: Row['better']
  readonly runs: number
  readonly subjects: readonly SubjectResult[]
}

/** Past it, the generator is what was measured. */
const SATURATED = 0.95

export function summarize(row: Row, runs: ReadonlyMap<string, readonly Measured[]>): RowResult {
  const medianOf = (name: string) => median((runs.get(name) as readonly Measured[]).map(({ value }) => value))
  const base = medianOf(row.control)
  const subjects = Array.from(runs, ([name, measured]): SubjectResult => {
    const values = measured.map(({ value }) => value)
    const share = (key: 'generator' | 'server') => {
      const shares = measured.flatMap((run) => run[key] ?? [])
      return shares.length === 0 ? undefined : round(median(shares))
    }
    return {
      name,
      median: Math.round(median(values)),
      least: Math.round(Math.min(...values)),
      most: Math.round(Math.max(...values)),
      ratio: round(medianOf(name) / base),
      expected: row.expected[name],
      generator: share('generator'),
      server: share('server'),
      contention: round(Math.max(...measured.map(({ contention }) => contention)))
    }
  })
  const { name, title, unit, better } = row
  return { name, title, unit, better, runs: subjects.length === 0 ? 0 : sizeOf(runs), subjects }
}

function sizeOf(runs: ReadonlyMap<string, readonly Measured[]>): number {
  return Math.max(...Array.from(runs.values(), ({ length }) => length))
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] as number
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}

/** A row as a table of Markdown, with a line for what should be known of it. */
export function table({ title, unit, better, runs, subjects }: RowResult): string {
  const lines = subjects.map(({ name, median, least, most, ratio, expected, server, generator }) => [
    name,
    count(median),
    `${count(least)}–${count(most)}`,
    `${ratio.toFixed(2)} ×`,
    expected === undefined ? '' : expectation(better, ratio, expected),
    percent(server),
    percent(generator)
  ])
  const head = ['', unit, `spread of ${runs}`, 'ratio', 'expected', 'server', 'generator']
  const widths = head.map((cell, column) =>
    Math.max(...[head, ...lines].map((line) => line[column]?.length ?? cell.length))
  )
  const draw = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join(' | ')} |`
  const rule = `| ${widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`
  return [`## ${title}`, '', draw(head), rule, ...lines.map(draw), ...remarks(subjects)].join('\n')
}

function expectation(better: Row['better'], ratio: number, expected: number): string {
  const isMissed = better === 'more' ? ratio < expected : ratio > expected
  return `${better === 'more' ? '≥' : '≤'} ${expected} ×${isMissed ? ' MISSED' : ''}`
}

function remarks(subjects: readonly SubjectResult[]): string[] {
  const named = (test: (subject: SubjectResult) => boolean) => subjects.filter(test).map(({ name }) => name)
  const saturated = named(({ generator = 0 }) => generator > SATURATED)
  const contended = named(({ contention }) => contention > CONTENDED)
  return [
    ...(saturated.length > 0 ? [`\nThe load generator was saturated by: ${saturated.join(', ')}`] : []),
    ...(contended.length > 0
      ? [`\nAnother process had the CPU for a part of the time of: ${contended.join(', ')}`]
      : [])
  ]
}

/** Past this share of waiting for the CPU a run is measured again. */
export const CONTENDED = 0.12

function count(value: number): string {
  return value.toLocaleString('en-US')
}

function percent(share: number | undefined): string {
  return share === undefined ? '' : `${Math.round(share * 100)} %`
}
