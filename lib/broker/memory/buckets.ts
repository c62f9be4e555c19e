interface Bucket {
  tokens: number
  filledAt: number
  fullAt: number
}

/** Token buckets by key. A full bucket is the same as no bucket, so it is dropped. */
export class MemoryBuckets {
  readonly #buckets = new Map<string, Bucket>()

  get size(): number {
    return this.#buckets.size
  }

  /** Times are in milliseconds, `rate` in tokens a second. `retryAfter` is 0 if all wanted tokens were granted. */
  take(
    key: string,
    wanted: number,
    { rate, burst }: { rate: number; burst: number },
    now: number
  ): { granted: number; retryAfter: number } {
    const bucket = this.#buckets.get(key) ?? { tokens: burst, filledAt: now, fullAt: now }
    const tokens = Math.min(burst, bucket.tokens + ((now - bucket.filledAt) * rate) / 1000)
    const granted = Math.min(wanted, Math.floor(tokens))
    bucket.tokens = tokens - granted
    bucket.filledAt = now
    bucket.fullAt = now + ((burst - bucket.tokens) / rate) * 1000
    this.#buckets.set(key, bucket)
    return { granted, retryAfter: granted < wanted ? Math.ceil(((1 - bucket.tokens) / rate) * 1000) : 0 }
  }

  sweep(now: number): void {
    for (const [key, { fullAt }] of this.#buckets) if (fullAt <= now) this.#buckets.delete(key)
  }
}
