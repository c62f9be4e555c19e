/** What one run says of one figure. */
export interface Measured {
  readonly value: number
  /** Share of the time in which the load generator had something to do. Close to 1, the generator was the limit. */
  readonly generator?: number
  /** Share of the time in which the server was on the CPU. */
  readonly server?: number
  /** Share of the time in which server or generator waited for a CPU that another process had. */
  readonly contention: number
}

/** One of those that a row compares. A run of it gives one figure or several. */
export interface Contender {
  /** The names of its figures. */
  readonly figures: readonly string[]
  /** One fresh run. The values are in the order of the figures. */
  measure(): Promise<readonly Measured[]>
}

/** What a figure has to reach. */
export interface Goal {
  /** The work, in a few words. */
  readonly work: string
  readonly figure: string
  /** The figure that it is divided by. Without one, the figure itself counts, in the row's unit. */
  readonly against?: string
  /** Proven to be possible. */
  readonly must: number
  /** Beyond that. */
  readonly aim: number
}

/** One question that the benchmark answers. A file in `rows/` has one or several. */
export interface Row {
  readonly name: string
  readonly title: string
  readonly unit: string
  readonly better: 'more' | 'less'
  /** Takes long: measured with `--all`, or if it is named. */
  readonly long?: boolean
  readonly contenders: readonly Contender[]
  /** The figure that the others are compared with. Without one, the row has no ratios. */
  readonly control?: string
  readonly goals: readonly Goal[]
}

/** A contender with one figure. */
export function contender(name: string, measure: () => Promise<Measured>): Contender {
  return { figures: [name], measure: async () => [await measure()] }
}
