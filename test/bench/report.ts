import type { Goal, Measured, Row } from './row.ts'

/** A median of runs, the least and the most of them. */
export interface Spread {
  readonly median: number
  readonly least: number
  readonly most: number
}

export interface FigureResult extends Spread {
  readonly name: string
  /** To the control, run by run. */
  readonly ratio?: Spread
  /** Medians of the shares of the time in which the generator and the server were busy. */
  readonly generator?: number
  readonly server?: number
  /** The worst of the runs: share of the time in which another process had the CPU. */
  readonly contention: number
}

export interface GoalResult {
  readonly work: string
  readonly must: number
  readonly aim: number
  readonly better: Row['better']
  readonly reached: Spread
}

export interface RowResult {
  readonly name: string
  readonly title: string
  readonly unit: string
  /** Day of the measurement. */
  readonly date: string
  readonly runs: number
  readonly figures: readonly FigureResult[]
  readonly goals: readonly GoalResult[]
}

/** @param runs Of each figure, in the order in which they were measured. */
export function summarize(row: Row, runs: ReadonlyMap<string, readonly Measured[]>, date: string): RowResult {
  const valuesOf = (name: string) => (runs.get(name) ?? []).map(({ value }) => value)
  // Of one round each: what changes on the machine from one round to the next cancels out.
  const ratios = (name: string, control: string) => {
    const base = valuesOf(control)
    return spreadOf(valuesOf(name).map((value, run) => value / (base[run] as number)))
  }
  const { name, title, unit, better, control } = row
  const figures = Array.from(runs, ([figure, measured]): FigureResult => {
    const share = (key: 'generator' | 'server') => {
      const shares = measured.flatMap((run) => run[key] ?? [])
      return shares.length === 0 ? undefined : round(median(shares))
    }
    return {
      name: figure,
      ...spreadOf(valuesOf(figure)),
      ratio: control === undefined ? undefined : ratios(figure, control),
      generator: share('generator'),
      server: share('server'),
      contention: round(Math.max(...measured.map(({ contention }) => contention)))
    }
  })
  const goals = row.goals.map(({ work, figure, against, must, aim }: Goal): GoalResult => {
    const reached = against === undefined ? spreadOf(valuesOf(figure)) : ratios(figure, against)
    return { work, must, aim, better, reached }
  })
  return {
    name,
    title,
    unit,
    date,
    runs: Math.max(...Array.from(runs.values(), ({ length }) => length)),
    figures,
    goals
  }
}

/** What a figure has come to: beyond the aim, beyond what it must reach, or neither. */
export function verdict({ must, aim, better, reached }: GoalResult): 'aim' | 'must' | 'missed' {
  const isReached = (value: number) => (better === 'more' ? reached.median >= value : reached.median <= value)
  if (isReached(aim)) return 'aim'
  return isReached(must) ? 'must' : 'missed'
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] as number
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2
}

function spreadOf(values: readonly number[]): Spread {
  return { median: round(median(values)), least: round(Math.min(...values)), most: round(Math.max(...values)) }
}

/** Two decimals for small numbers, none for large ones. */
function round(value: number): number {
  return Math.abs(value) < 100 ? Math.round(value * 100) / 100 : Math.round(value)
}
