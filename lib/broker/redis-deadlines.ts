interface Waiting {
  /** When its time began. */
  at: number
  done: boolean
  readonly late: () => void
}

/** What a command without an answer is rejected with, as ioredis does it. */
const MESSAGE = 'Command timed out'

/**
 * Gives commands so long to be answered. ioredis can do that too, by a timer for each: a process that is busy for as
 * long (thousands of clients that come back at once) then takes every answer for late that waits in its own kernel.
 * Here the time runs from the end of the turn in which a command was given, when it is written, and what has come in is
 * read before anything is judged.
 */
export class RedisDeadlines {
  readonly #timeout: number
  /** Given in this turn. */
  #fresh: Waiting[] = []
  /** Given before, in order; those before `#start` are done. All have as long, so the first is the first to be late. */
  #waiting: Waiting[] = []
  #start = 0
  #timer: NodeJS.Timeout | undefined

  /** @param timeout Milliseconds. */
  constructor(timeout: number) {
    this.#timeout = timeout
  }

  /** The answer; rejects where it does not come in time. */
  within<Answer>(answer: Promise<Answer>): Promise<Answer> {
    return new Promise<Answer>((resolve, reject) => {
      const waiting = { at: 0, done: false, late: () => reject(new Error(MESSAGE)) }
      const settled = () => {
        waiting.done = true
      }
      answer.then(resolve, reject).then(settled)
      if (this.#fresh.push(waiting) === 1) setImmediate(() => this.#begin())
    })
  }

  #begin(): void {
    const at = performance.now()
    for (const waiting of this.#fresh) {
      waiting.at = at
      this.#waiting.push(waiting)
    }
    this.#fresh = []
    this.#arm()
  }

  #arm(): void {
    while (this.#first?.done) this.#start++
    if (this.#start * 2 > this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#start)
      this.#start = 0
    }
    const first = this.#first
    if (first === undefined || this.#timer !== undefined) return
    // The judgement comes after what has arrived is read: a timer is called before that, an immediate after.
    const judge = () => setImmediate(() => this.#judge())
    // The connection keeps the process alive as long as it is open; nothing waits for a time that runs for nobody.
    this.#timer = setTimeout(judge, Math.max(1, first.at + this.#timeout - performance.now())).unref()
  }

  get #first(): Waiting | undefined {
    return this.#waiting[this.#start]
  }

  #judge(): void {
    this.#timer = undefined
    const latest = performance.now() - this.#timeout
    for (let first = this.#first; first !== undefined && first.at <= latest; first = this.#first) {
      // A promise that is settled already takes no second answer.
      first.late()
      this.#start++
    }
    this.#arm()
  }
}

/** True for what `RedisDeadlines` rejects with. */
export function isLate(error: unknown): boolean {
  return (error as Error).message === MESSAGE
}
