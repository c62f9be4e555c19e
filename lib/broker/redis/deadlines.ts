interface Command {
  /** Answered or timed out. */
  isSettled: boolean
  readonly timeOut: () => void
}

/** The commands of one turn of the event loop. They have the same start time. */
interface Batch {
  at: number
  readonly commands: Command[]
  /** Number of its commands that wait for their answer. */
  waiting: number
}

/** Message of the error with which a command without an answer rejects. ioredis uses the same. */
const MESSAGE = 'Command timed out'

// How often received bytes are checked during the timeout of a command.
const CHECKS_PER_TIMEOUT = 4

/**
 * Rejects commands that are not answered in time. ioredis can do that too, with a timer for each command. But if the
 * process is busy for that long (thousands of clients that reconnect at once), those timers fire before the answers are
 * read that already wait in the process's own kernel. Here the time of a command starts at the end of the turn in which
 * the command was called, because it is written then. Before a command times out, received data is read.
 *
 * Answers arrive in order on a connection, so a large answer delays the answers behind it. While data is received, no
 * command times out: the time starts again.
 */
export class RedisDeadlines {
  readonly #timeout: number
  readonly #received: () => number
  /** The batch of this turn. */
  #current: Batch | undefined
  /**
   * The batches of earlier turns, in order. Those before the index `#start` are done. All have the same timeout, so the
   * first one times out first.
   */
  #batches: Batch[] = []
  #start = 0
  #waiting = 0
  #idle: (() => void) | undefined
  #timer: NodeJS.Timeout | undefined
  /** Bytes received at the last check. */
  #bytes = 0
  /** Time of the last check that found more bytes than the check before. */
  #receivedAt = Number.NEGATIVE_INFINITY

  /**
   * @param timeout Milliseconds.
   * @param received Returns the number of bytes received on the connection.
   */
  constructor(timeout: number, received = () => 0) {
    this.#timeout = timeout
    this.#received = received
  }

  /** Number of commands that wait for their answer. */
  get waiting(): number {
    return this.#waiting
  }

  /**
   * Resolves with the answer to a command.
   * @param failed Called if the answer is an error or is not received in time. Returns the error to reject with.
   */
  within<Answer>(answer: Promise<Answer>, failed = (error: unknown) => error): Promise<Answer> {
    return new Promise<Answer>((resolve, reject) => {
      const batch = this.#current ?? this.#open()
      const command = { isSettled: false, timeOut: () => reject(failed(new Error(MESSAGE))) }
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

  /** Resolves when no command waits. */
  async idle(): Promise<void> {
    if (this.#waiting === 0) return
    await new Promise<void>((resolve) => {
      this.#idle = resolve
    })
  }

  /** Returns false if the command was already settled. */
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
    this.#current = batch
    setImmediate(() => this.#begin(batch))
    return batch
  }

  #begin(batch: Batch): void {
    batch.at = performance.now()
    this.#current = undefined
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
    // Node calls timers, then reads sockets, then calls immediates. So the check runs after received data is read.
    const check = () => setImmediate(() => this.#check())
    // Unref: the open connection keeps the process alive, and without a connection no answer is expected.
    const due = Math.max(first.at, this.#receivedAt) + this.#timeout - performance.now()
    this.#timer = setTimeout(check, Math.max(1, Math.min(due, this.#timeout / CHECKS_PER_TIMEOUT))).unref()
  }

  get #first(): Batch | undefined {
    return this.#batches[this.#start]
  }

  #check(): void {
    this.#timer = undefined
    const now = performance.now()
    const bytes = this.#received()
    if (bytes !== this.#bytes) {
      this.#bytes = bytes
      this.#receivedAt = now
    }
    const latest = now - this.#timeout
    if (this.#receivedAt > latest) {
      this.#arm()
      return
    }
    for (let first = this.#first; first !== undefined && first.at <= latest; first = this.#first) {
      for (const command of first.commands) if (this.#settle(first, command)) command.timeOut()
      this.#start++
    }
    this.#arm()
  }
}

/** True for the error of a command that timed out. */
export function isTimeout(error: unknown): boolean {
  return (error as Error).message === MESSAGE
}
