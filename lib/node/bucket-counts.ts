import type { Buckets } from './figures.ts'

/** A histogram in plain numbers. It costs no more than a few comparisons for each observation. */
export class BucketCounts {
  readonly #bounds: readonly number[]
  readonly #counts: number[]

  /** @param bounds Seconds, ascending. */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
    this.#counts = Array<number>(bounds.length + 1).fill(0)
  }

  observe(seconds: number): void {
    const bounds = this.#bounds
    let place = 0
    while (place < bounds.length && seconds > (bounds[place] as number)) place++
    this.#counts[place] = (this.#counts[place] as number) + 1
  }

  /** The counts so far. Each counts the observations below its bound too, as those of Prometheus do. */
  get buckets(): Buckets {
    let sum = 0
    const counts = this.#counts.map((count) => {
      sum += count
      return sum
    })
    return { bounds: this.#bounds, counts }
  }
}
