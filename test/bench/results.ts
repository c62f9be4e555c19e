import { readFileSync, writeFileSync } from 'node:fs'
import { QUOTED } from './quoted.ts'
import type { RowResult } from './report.ts'
import { type DatedGoal, goalTable, rowTable } from './tables.ts'

/* results.json, and the part of docs/benchmarks.md that is made of it. */

const RESULTS = new URL('./results.json', import.meta.url)
const PAGE = new URL('../../docs/benchmarks.md', import.meta.url)
const BEGIN = '<!-- The figures: npm run bench -- --all --write -->'
const END = '<!-- The end of the figures -->'

export interface Conditions {
  readonly node: string
  readonly cpus: number
  /** The servers and the load generator had a core each. */
  readonly pinned: boolean
  readonly versions: Readonly<Record<string, string>>
}

export interface Results extends Conditions {
  readonly rows: readonly RowResult[]
}

export function readResults(): Results {
  return JSON.parse(readFileSync(RESULTS, 'utf8')) as Results
}

/** Rows that were not measured this time stay, if they were measured under the same conditions. */
export function writeResults(results: Results, order: readonly string[]): void {
  const before = readResults()
  const conditions = ({ rows: _, ...rest }: Results) => JSON.stringify(rest)
  const old = conditions(before) === conditions(results) ? before.rows : []
  const find = (rows: readonly RowResult[], name: string) => rows.find((row) => row.name === name)
  const rows = order.flatMap((name) => find(results.rows, name) ?? find(old, name) ?? [])
  writeFileSync(RESULTS, `${JSON.stringify({ ...results, rows }, null, 2)}\n`)
}

/** What had to be reached, with the figures that are measured elsewhere. */
export function goalsOf(rows: readonly RowResult[]): DatedGoal[] {
  return [...rows.flatMap(({ goals, date }) => goals.map((goal) => ({ ...goal, date }))), ...QUOTED]
}

/** The part of the page between its two marks. */
export function figures(results: Results): string {
  const { node, cpus, pinned, versions, rows } = results
  const packages = Object.entries(versions).map(([name, version]) => `${name} ${version}`)
  const cores = pinned ? `${cpus} cores, the servers on one and the load generator on another` : `${cpus} cores`
  return [
    `Node ${node.slice(1)}, ${packages.join(', ')}; ${cores}.`,
    goalTable(goalsOf(rows)),
    '## All figures',
    ...rows.map(rowTable)
  ].join('\n\n')
}

export function readPage(): { before: string; figures: string; after: string } {
  const text = readFileSync(PAGE, 'utf8')
  const begin = text.indexOf(BEGIN) + BEGIN.length
  const end = text.indexOf(END)
  return { before: text.slice(0, begin), figures: text.slice(begin, end).trim(), after: text.slice(end) }
}

export function writePage(results: Results): void {
  const { before, after } = readPage()
  writeFileSync(PAGE, `${before}\n\n${figures(results)}\n\n${after}`)
}
