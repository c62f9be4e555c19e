import { setTimeout as delay } from 'node:timers/promises'

export interface RedisProbeOptions {
  /** Milliseconds between two probes, ±10 %. A probe is lost if it is not received within a quarter of that. */
  readonly interval: number
  /** The node's own topic. Undefined while no connection listens to it. */
  topic(): string | undefined
  /** Publishes to the topic over the connection for commands. */
  send(topic: string, message: string): Promise<unknown>
  /** Bytes received on the connection that listens. */
  bytesReceived(): number
  /** Two consecutive probes were sent, and the subscriber did not receive them. */
  unresponsive(): void
}

// Maximum number of consecutive probes that may be delayed by other messages. If the subscriber is further behind, a
// new connection is better, and missed publications are read from history.
const MAX_DELAYED = 4

/**
 * Detects a subscriber that receives no messages although its connection seems open: the node publishes to itself, and
 * the subscriber must receive the message. A probe that could not be sent says nothing about the subscriber.
 */
export class RedisProbe {
  readonly #options: RedisProbeOptions
  readonly #stopping = new AbortController()
  #isReceived = false
  #notifyReceived: (() => void) | undefined
  #number = 0
  #delayed = 0

  constructor(options: RedisProbeOptions) {
    this.#options = options
  }

  /** Runs until `stop`. */
  async run(): Promise<void> {
    const { interval, unresponsive } = this.#options
    while (await this.#wait(interval * (0.9 + Math.random() * 0.2))) {
      if ((await this.#isLost()) && (await this.#isLost())) unresponsive()
    }
  }

  stop(): void {
    this.#stopping.abort()
  }

  /** Takes a message that was received on the node's own topic. */
  receive(message: string): void {
    if (message !== `${this.#number}`) return
    this.#isReceived = true
    this.#notifyReceived?.()
  }

  /** Sends a probe. Resolves with true if it was sent, and the subscriber did not receive it in time. */
  async #isLost(): Promise<boolean> {
    const topic = this.#options.topic()
    if (topic === undefined) return false
    const message = `${++this.#number}`
    const bytesBefore = this.#options.bytesReceived()
    this.#isReceived = false
    const received = new Promise<void>((resolve) => {
      this.#notifyReceived = resolve
    })
    try {
      await this.#options.send(topic, message)
    } catch {
      // The connection for commands has failed, and reports that itself.
      return false
    }
    await Promise.race([received, this.#wait(this.#options.interval / 4)])
    // If the process was busy, received data is read before the probe counts as lost.
    await new Promise(setImmediate)
    if (this.#isReceived) this.#delayed = 0
    if (this.#isReceived || this.#stopping.signal.aborted) return false
    // If data was received meanwhile, the probe may be behind a large message.
    return this.#options.bytesReceived() === bytesBefore || ++this.#delayed > MAX_DELAYED
  }

  /** Resolves with false if the probe was stopped meanwhile. */
  async #wait(milliseconds: number): Promise<boolean> {
    try {
      await delay(milliseconds, undefined, { signal: this.#stopping.signal, ref: false })
      return true
    } catch {
      // A delay only rejects if it was aborted.
      return false
    }
  }
}
