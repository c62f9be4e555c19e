interface Command {
  /** Answered, or too late. */
  isSettled: boolean
  readonly late: () => void
}

/** The commands of one turn. Their time begins together. */
interface Batch {
  at: number
  readonly commands: Command[]
  /** How many of them wait for their answer. */
  waiting: number
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
  /** What was given in this turn. */
  #fresh: Batch | undefined
  /** Given before, in order; those before `#start` are done. All have as long, so the first is the first to be late. */
  #batches: Batch[] = []
  #start = 0
  #waiting = 0
  #idle: (() => void) | undefined
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

  /** Commands that wait for their answer. */
  get waiting(): number {
    return this.#waiting
  }

  /**
   * The answer to a command.
   * @param failed Called if the answer is an error or does not come in time. Returns the error to reject with.
   */
  within<Answer>(answer: Promise<Answer>, failed = (error: unknown) => error): Promise<Answer> {
    return new Promise<Answer>((resolve, reject) => {
      const batch = this.#fresh ?? this.#open()
      const command = { isSettled: false, late: () => reject(failed(new Error(MESSAGE))) }
      batch.commands.push(command)
      batch.waiting++
      this.#waiting++
      answer.then(
        (reply) => {
          if (this.#settle(batch, command)) resolve(reply)
        },
        (error) => {
          if (this.#settle(batch, command)) reject(failed(error))
        }
      )
    })
  }

  /** Resolves once no command waits. */
  async idle(): Promise<void> {
    if (this.#waiting === 0) return
    await new Promise<void>((resolve) => {
      this.#idle = resolve
    })
  }

  /** False if the command was settled before. */
  #settle(batch: Batch, command: Command): boolean {
    if (command.isSettled) return false
    command.isSettled = true
    batch.waiting--
    this.#waiting--
    if (this.#waiting === 0) this.#idle?.()
    return true
  }

  #open(): Batch {
    const batch = { at: 0, commands: [], waiting: 0 }
    this.#fresh = batch
    setImmediate(() => this.#begin(batch))
    return batch
  }

  #begin(batch: Batch): void {
    batch.at = performance.now()
    this.#fresh = undefined
    this.#batches.push(batch)
    if (this.#timer === undefined) this.#bytes = this.#received()
    this.#arm()
  }

  #arm(): void {
    while (this.#first?.waiting === 0) this.#start++
    if (this.#start * 2 > this.#batches.length) {
      this.#batches = this.#batches.slice(this.#start)
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

  get #first(): Batch | undefined {
    return this.#batches[this.#start]
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
      for (const command of first.commands) if (this.#settle(first, command)) command.late()
      this.#start++
    }
    this.#arm()
  }
}

/** True for what `RedisDeadlines` rejects with. */
export function isLate(error: unknown): boolean {
  return (error as Error).message === MESSAGE
}
