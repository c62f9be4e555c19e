import { setTimeout as delay } from 'node:timers/promises'

export interface RedisProbeOptions {
  /** Milliseconds between two probes, ±10 %. A probe is unheard after a quarter of it. */
  readonly interval: number
  /** The node's own pub/sub channel; none while nothing listens to it. */
  wire(): string | undefined
  /** Publishes to it by the connection for commands. */
  send(wire: string, message: string): Promise<unknown>
  /** How much has come in on the connection that listens. */
  received(): number
  /** Two probes on end were sent and not heard. */
  deaf(): void
}

// Probes on end that may be behind other messages. One that is further behind is better off with a new connection, and
// with what it missed read from history.
const MAX_EXCUSED = 4

/**
 * Notices a subscriber that hears nothing although its connection seems well: the node publishes to itself and
 * listens. A probe that could not be sent says nothing about the subscriber.
 */
export class RedisProbe {
  readonly #options: RedisProbeOptions
  readonly #stopping = new AbortController()
  #isHeard = false
  #answered: (() => void) | undefined
  #number = 0
  #excused = 0

  constructor(options: RedisProbeOptions) {
    this.#options = options
  }

  /** Runs until `stop`. */
  async run(): Promise<void> {
    const { interval, deaf } = this.#options
    while (await this.#wait(interval * (0.9 + Math.random() * 0.2))) {
      if ((await this.#isDeaf()) && (await this.#isDeaf())) deaf()
    }
  }

  stop(): void {
    this.#stopping.abort()
  }

  /** A message came in on the node's own channel. */
  heard(message: string): void {
    if (message !== `${this.#number}`) return
    this.#isHeard = true
    this.#answered?.()
  }

  async #isDeaf(): Promise<boolean> {
    const wire = this.#options.wire()
    if (wire === undefined) return false
    const message = `${++this.#number}`
    const before = this.#options.received()
    this.#isHeard = false
    const answered = new Promise<void>((resolve) => {
      this.#answered = resolve
    })
    try {
      await this.#options.send(wire, message)
    } catch {
      // The other connection's trouble, which shows there.
      return false
    }
    await Promise.race([answered, this.#wait(this.#options.interval / 4)])
    // What has arrived while the process was busy is read before it is judged.
    await new Promise(setImmediate)
    if (this.#isHeard) this.#excused = 0
    if (this.#isHeard || this.#stopping.signal.aborted) return false
    // Something large is on its way, and the probe comes after it.
    return this.#options.received() === before || ++this.#excused > MAX_EXCUSED
  }

  /** False where it was stopped meanwhile. */
  async #wait(milliseconds: number): Promise<boolean> {
    try {
      await delay(milliseconds, undefined, { signal: this.#stopping.signal, ref: false })
      return true
    } catch {
      // The only thing that a delay rejects with is that it was aborted.
      return false
    }
  }
}
