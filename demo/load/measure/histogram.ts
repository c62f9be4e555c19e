/*
 * Buckets as in HdrHistogram: 128 of equal width in each doubling. So a figure is at most 0.8 % above the measured
 * value, from a microsecond to an hour, in 13 KB. Node's histogram in `perf_hooks` does not expose its counts, which
 * the plots need, and the packages for it bring WebAssembly for the same few lines.
 */
const SUB_BUCKETS = 128
const SUB_BITS = 7
const MAX_VALUE = 2 ** 32 - 1
const BUCKETS = indexOf(MAX_VALUE) + 1

/** Values below 256 have a bucket each. */
function indexOf(value: number): number {
  if (value < 2 * SUB_BUCKETS) return value
  const shift = 31 - Math.clz32(value) - SUB_BITS
  return shift * SUB_BUCKETS + (value >>> shift)
}

/** The highest value that falls into a bucket. */
function upperEnd(index: number): number {
  if (index < 2 * SUB_BUCKETS) return index
  const shift = Math.floor(index / SUB_BUCKETS) - 1
  return (index - shift * SUB_BUCKETS + 1) * 2 ** shift - 1
}

/** Counts durations, and computes their percentiles. Whole microseconds in, milliseconds out. */
export class Histogram {
  readonly #counts = new Uint32Array(BUCKETS)
  #count = 0
  #sum = 0
  #max = 0
  #min = MAX_VALUE

  /** Fractions are dropped. Negative values count as 0, and values over 71 minutes as 71 minutes. */
  record(microseconds: number): void {
    const value = Math.min(MAX_VALUE, Math.max(0, Math.floor(microseconds)))
    const index = indexOf(value)
    this.#counts[index] = (this.#counts[index] as number) + 1
    this.#count++
    this.#sum += value
    if (value > this.#max) this.#max = value
    if (value < this.#min) this.#min = value
  }

  get count(): number {
    return this.#count
  }

  get mean(): number {
    return this.#count === 0 ? 0 : this.#sum / this.#count / 1000
  }

  get min(): number {
    return this.#count === 0 ? 0 : this.#min / 1000
  }

  get max(): number {
    return this.#max / 1000
  }

  /** The value that `percent` of all values do not exceed (50, 99.9…); 0 if nothing was recorded. */
  percentile(percent: number): number {
    if (this.#count === 0) return 0
    const rank = Math.max(1, Math.ceil((percent / 100) * this.#count - 1e-9))
    let seen = 0
    for (let index = 0; index < BUCKETS; index++) {
      seen += this.#counts[index] as number
      if (seen >= rank) return Math.min(upperEnd(index), this.#max) / 1000
    }
    return this.max
  }

  /** How many values are in the range from `from` to below `to`, in milliseconds, to the precision of the buckets. */
  countBetween(from: number, to: number): number {
    let sum = 0
    for (let index = 0; index < BUCKETS; index++) {
      const value = upperEnd(index) / 1000
      if (value >= to) break
      if (value >= from) sum += this.#counts[index] as number
    }
    return sum
  }

  reset(): void {
    this.#counts.fill(0)
    this.#count = 0
    this.#sum = 0
    this.#max = 0
    this.#min = MAX_VALUE
  }
}
