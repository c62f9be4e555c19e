import type { Verdict } from '../command/expectations.ts'
import type { LoadResult } from '../result.ts'
import { sectionsOf, titleOf } from './figures.ts'

const NAME_WIDTH = 24

/** A run as text, printed at its end. */
export function tableOf(result: LoadResult, verdicts: readonly Verdict[]): string {
  const lines = [titleOf(result), result.url]
  if (result.interrupted) lines.push('ended early; these are the figures so far')
  for (const { heading, rows } of sectionsOf(result)) {
    lines.push('', heading)
    for (const [name, figure] of rows) lines.push(`  ${name.padEnd(NAME_WIDTH)}${figure}`)
  }
  if (result.warnings.length > 0) lines.push('', 'Note', ...result.warnings.map((warning) => `  ${warning}`))
  if (verdicts.length > 0) lines.push('', 'Expectations', ...verdicts.map((verdict) => `  ${verdictLine(verdict)}`))
  return `${lines.join('\n')}\n`
}

/** `held: lost=0`, or `failed: p99<250, measured 312.5`. */
export function verdictLine({ condition, held, measured, reason }: Verdict): string {
  if (held) return `held: ${condition}`
  return measured === null
    ? `failed: ${condition}, not measured: ${reason}`
    : `failed: ${condition}, measured ${measured}`
}
