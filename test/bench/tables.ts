import { type FigureResult, type GoalResult, type RowResult, type Spread, verdict } from './report.ts'

/* Results as tables of Markdown, for the terminal and for docs/benchmarks.md. */

/** Past this share of its time, the generator is what was measured. */
const SATURATED = 0.95
/** Past this share of waiting for the CPU, a run is measured again. */
export const CONTENDED = 0.12

/** A goal, and when and how it was measured. */
export interface DatedGoal extends GoalResult {
  readonly date: string
}

/** What had to be reached, and what was, side by side. */
export function goalTable(goals: readonly DatedGoal[]): string {
  return draw(
    ['work', 'must', 'aim', 'reached', 'spread', 'verdict', 'measured'],
    goals.map((goal) => [
      goal.work,
      number(goal.must),
      number(goal.aim),
      number(goal.reached.median),
      spread(goal.reached),
      verdict(goal),
      goal.date
    ])
  )
}

/** All figures of a row, and what a reader should know about them. */
export function rowTable({ title, unit, runs, figures }: RowResult): string {
  const head = ['', unit, `spread of ${runs}`, 'ratio', 'spread', 'server', 'generator']
  const cells = figures.map((figure) => [
    figure.name,
    number(figure.median),
    spread(figure),
    figure.ratio === undefined ? '' : number(figure.ratio.median),
    figure.ratio === undefined ? '' : spread(figure.ratio),
    percent(figure.server),
    percent(figure.generator)
  ])
  return [`**${title}**`, draw(head, cells), ...remarks(figures)].join('\n\n')
}

function draw(head: readonly string[], lines: readonly (readonly string[])[]): string {
  // A column without a value says nothing.
  const columns = head.map((_, column) => column).filter((column) => lines.some((line) => line[column] !== ''))
  const widths = columns.map((column) => Math.max(...[head, ...lines].map((line) => line[column]?.length ?? 0), 3))
  const line = (cells: readonly string[]) => {
    const padded = columns.map((column, at) => {
      const cell = cells[column] as string
      return at === 0 ? cell.padEnd(widths[at] as number) : cell.padStart(widths[at] as number)
    })
    return `| ${padded.join(' | ')} |`
  }
  const rule = widths.map((width, at) => (at === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`))
  return [line(head), `| ${rule.join(' | ')} |`, ...lines.map(line)].join('\n')
}

function remarks(figures: readonly FigureResult[]): string[] {
  const named = (test: (figure: FigureResult) => boolean) => figures.filter(test).map(({ name }) => name)
  const saturated = named(({ generator = 0 }) => generator > SATURATED)
  const contended = named(({ contention }) => contention > CONTENDED)
  return [
    ...(saturated.length > 0 ? [`The load generator was at its limit: ${saturated.join('; ')}.`] : []),
    ...(contended.length > 0 ? [`Another process had the CPU for a part of the time: ${contended.join('; ')}.`] : [])
  ]
}

function spread({ least, most }: Spread): string {
  return `${number(least)} to ${number(most)}`
}

function number(value: number): string {
  return value.toLocaleString('en-US')
}

function percent(share: number | undefined): string {
  return share === undefined ? '' : `${Math.round(share * 100)} %`
}
