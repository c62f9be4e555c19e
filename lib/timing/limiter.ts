/**
 * Lets so many jobs run at a time; the others wait their turn. After a deploy thousands of clients come back at once:
 * what each of them asks the broker for must neither pile up there nor be refused for the number of the others.
 */
export class Limiter {
  readonly #concurrency: number
  readonly #waiting: (() => void)[] = []
  #running = 0

  constructor(concurrency: number) {
    this.#concurrency = concurrency
  }

  async run<Result>(job: () => Promise<Result>): Promise<Result> {
    // Whoever is woken takes the place of the one that has left.
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
