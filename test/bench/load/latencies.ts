// Milliseconds of one bucket, and how many there are: what is later than 20 s counts as that.
const STEP = 0.02
const BUCKETS = 1_000_000

/** Hundreds of thousands of latencies, to two hundredths of a millisecond. */
export class Latencies {
  readonly #buckets = new Uint32Array(BUCKETS)
  #count = 0
  #most = 0

  add(milliseconds: number): void {
    const bucket = Math.min(BUCKETS - 1, Math.max(0, Math.floor(milliseconds / STEP)))
    this.#buckets[bucket] = (this.#buckets[bucket] as number) + 1
    this.#count++
    this.#most = Math.max(this.#most, milliseconds)
  }

  summary(): { readonly p50: number; readonly p99: number; readonly most: number } {
    return { p50: this.#percentile(0.5), p99: this.#percentile(0.99), most: this.#most }
  }

  #percentile(share: number): number {
    let left = share * this.#count
    const bucket = this.#buckets.findIndex((count) => {
      left -= count
      return left <= 0
    })
    return (bucket + 1) * STEP
  }
}
