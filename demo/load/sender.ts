import type { Client } from './client/client.ts'
import type { Subscription } from './client/subscription.ts'
import { Histogram } from './measure/histogram.ts'
import type { Publisher } from './measure/publisher.ts'
import type { StampWriter } from './stamp.ts'

/** A publisher, and the connection that it publishes over. */
export interface Outlet {
  readonly publisher: Publisher
  readonly client: Client
  readonly subscription: Subscription
}

export interface Schedule {
  /** Messages a second. */
  readonly rate: number
  /** Milliseconds. */
  readonly duration: number
  /** Messages at most. */
  readonly messages: number
}

// Timers are no finer.
const TICK = 1

/**
 * Publishes at a fixed rate, whatever the server does: a message is due at its time, and its latency counts from then.
 * If each message were sent after the answer to the one before, a server that stalls would slow down the sender and
 * look fast (coordinated omission).
 */
export class Sender {
  readonly #outlets: readonly Outlet[]
  readonly #writer: StampWriter
  /** The zero of due times, by `performance.now()`. */
  readonly #origin: number
  /** How long after they were due messages left, as far as this process caused it. */
  readonly lateness = new Histogram()
  #sent = 0

  constructor(outlets: readonly Outlet[], writer: StampWriter, origin: number) {
    this.#outlets = outlets
    this.#writer = writer
    this.#origin = origin
  }

  get sent(): number {
    return this.#sent
  }

  /** Resolves when all is sent, or the signal aborts. */
  run({ rate, duration, messages }: Schedule, signal: AbortSignal): Promise<void> {
    const gap = 1000 / rate
    const start = performance.now()
    // All may have disconnected before the first message.
    const total = this.#outlets.length === 0 ? 0 : Math.min(messages, Math.ceil(duration / gap))
    return new Promise((resolve) => {
      let timer: NodeJS.Timeout | undefined
      const end = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', end)
        resolve()
      }
      const tick = () => {
        const elapsed = performance.now() - start
        while (this.#sent < total && this.#sent * gap <= elapsed) this.#send(start + this.#sent * gap)
        const wait = this.#sent < total ? this.#sent * gap - elapsed : duration - elapsed
        if (this.#sent === total && (total === messages || wait <= 0)) end()
        else timer = setTimeout(tick, Math.max(TICK, wait))
      }
      if (signal.aborted) return resolve()
      signal.addEventListener('abort', end)
      tick()
    })
  }

  #send(due: number): void {
    const { publisher, client, subscription } = this.#outlets[this.#sent++ % this.#outlets.length] as Outlet
    const sequence = publisher.next()
    const microseconds = Math.round((due - this.#origin) * 1000)
    const text = this.#writer.write({ publisher: publisher.index, sequence, due: microseconds })
    this.lateness.record((performance.now() - due) * 1000)
    client.send({ publisher, sequence, subscription, text })
  }
}
