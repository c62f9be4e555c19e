/**
 * Runs a limited number of jobs at a time; the others wait in a queue. After a deploy, thousands of clients reconnect
 * at once. Their requests must neither pile up at the broker nor be refused because there are too many.
 */
export class Limiter {
  readonly #concurrency: number
  readonly #waiting: (() => void)[] = []
  #running = 0

  constructor(concurrency: number) {
    this.#concurrency = concurrency
  }

  async run<Result>(job: () => Promise<Result>): Promise<Result> {
    // A job that waited takes the place of the job that has ended, so `#running` stays the same.
    if (this.#running < this.#concurrency) this.#running++
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      return await job()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#running--
      else next()
    }
  }
}
