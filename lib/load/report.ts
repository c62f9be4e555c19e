import { readFileSync } from 'node:fs'
import { type judge, rowsOf, titleOf } from './figures.ts'
import { uPlotFile } from './report-asset.ts'
import type { LoadResult } from './summary.ts'

/** A run as one HTML file, which fetches nothing. `report.html` is its template. */
export function reportOf(result: LoadResult, verdicts: readonly ReturnType<typeof judge>[]): string {
  const data = { title: titleOf(result), rows: rowsOf(result), verdicts, result }
  const template = readFileSync(new URL('./report.html', import.meta.url), 'utf8')
  // Functions, because `$` has a meaning in a text to replace by. Nothing in the data can end the script.
  return template
    .replace('/*UPLOT_STYLE*/', () => uPlotFile('uPlot.min.css'))
    .replace('/*UPLOT*/', () => uPlotFile('uPlot.iife.min.js'))
    .replace('LOAD_DATA', () => JSON.stringify(data).replaceAll('<', '\\u003c'))
}
