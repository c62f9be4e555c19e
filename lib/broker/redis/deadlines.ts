interface Waiting {
  /** When its time began. */
  at: number
  done: boolean
  readonly late: () => void
}

/** What a command without an answer is rejected with, as ioredis does it. */
const MESSAGE = 'Command timed out'

// How often it is looked whether something has come in, in the time for a command.
const LOOKS = 4

/**
 * Gives commands so long to be answered. ioredis can do that too, by a timer for each: a process that is busy for as
 * long (thousands of clients that come back at once) then takes every answer for late that waits in its own kernel.
 * Here the time runs from the end of the turn in which a command was given, when it is written, and what has come in is
 * read before anything is judged.
 *
 * Answers come in order on a connection, so a large one holds up those behind it. While something comes in, no command
 * is late: the time runs anew.
 */
export class RedisDeadlines {
  readonly #timeout: number
  readonly #received: () => number
  /** Given in this turn. */
  #fresh: Waiting[] = []
  /** Given before, in order; those before `#start` are done. All have as long, so the first is the first to be late. */
  #waiting: Waiting[] = []
  #start = 0
  #timer: NodeJS.Timeout | undefined
  /** What had come in when it was last looked at, and when that was another than before. */
  #bytes = 0
  #heardAt = Number.NEGATIVE_INFINITY

  /**
   * @param timeout Milliseconds.
   * @param received How much has come in on the connection.
   */
  constructor(timeout: number, received = () => 0) {
    this.#timeout = timeout
    this.#received = received
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
    if (this.#timer === undefined) this.#bytes = this.#received()
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
    const due = Math.max(first.at, this.#heardAt) + this.#timeout - performance.now()
    this.#timer = setTimeout(judge, Math.max(1, Math.min(due, this.#timeout / LOOKS))).unref()
  }

  get #first(): Waiting | undefined {
    return this.#waiting[this.#start]
  }

  #judge(): void {
    this.#timer = undefined
    const now = performance.now()
    const bytes = this.#received()
    if (bytes !== this.#bytes) {
      this.#bytes = bytes
      this.#heardAt = now
    }
    const latest = now - this.#timeout
    if (this.#heardAt > latest) {
      this.#arm()
      return
    }
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
