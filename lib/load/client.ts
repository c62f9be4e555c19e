import { closeAdvice } from '../protocol/close-advice.ts'
import type { Feed, Journal, Outgoing } from './journal.ts'
import type { Publisher } from './ledger.ts'
import type { Wire, WireEnd, WireListener } from './wire.ts'

export interface ClientSetup {
  readonly feeds: readonly Feed[]
  readonly journal: Journal
  /** It stops reading for a while, and its deliveries do not count in the latencies. */
  readonly isSlow: boolean
}

// Milliseconds for a handshake and the commands after it.
const OPEN_TIMEOUT = 20_000
// Milliseconds before an attempt to reconnect. The defaults of the published clients.
const LEAST_BACKOFF = 500
const MOST_BACKOFF = 20_000
// The same handshake would get these answers again.
const FINAL_STATUSES = [400, 401, 403, 404]

/** Exponential, with full jitter: clients that were cut together do not come back together. */
export function backoff(failures: number): number {
  return Math.random() * Math.min(MOST_BACKOFF, LEAST_BACKOFF * 2 ** failures)
}

/** One client. If its connection ends, it makes another. The protocol is up to the subclass. */
export abstract class LoadClient {
  readonly feeds: readonly Feed[]
  readonly isSlow: boolean
  readonly publishers: Publisher[] = []
  protected readonly journal: Journal
  protected wire: Wire | undefined
  #state: 'opening' | 'ready' | 'away' | 'gone' = 'opening'
  #wasReady = false
  #failures = 0
  #began = 0
  #timer: NodeJS.Timeout | undefined
  /** Messages that became due while there was no connection. */
  #waiting: Outgoing[] = []
  #settled: (() => void) | undefined

  constructor({ feeds, journal, isSlow }: ClientSetup) {
    this.feeds = feeds
    this.journal = journal
    this.isSlow = isSlow
  }

  get isReady(): boolean {
    return this.#state === 'ready'
  }

  /** True between two connections. */
  get isAway(): boolean {
    return this.#wasReady && (this.#state === 'away' || this.#state === 'opening')
  }

  /** Connects for the first time. Resolves once the client takes part or has failed. */
  open(): Promise<void> {
    return new Promise((resolve) => {
      this.#settled = resolve
      this.#connect()
    })
  }

  /** Sends it now, or as soon as the client is connected again. */
  send(message: Outgoing): void {
    if (this.#state === 'ready') this.write(message)
    else if (this.#state === 'gone') message.publisher.interrupted()
    else this.#waiting.push(message)
  }

  /** Gives up the messages that wait for a connection. */
  abandon(): void {
    this.#waiting = []
    for (const publisher of this.publishers) publisher.interrupted()
  }

  /** Ends the connection at once. True if there was one. The client reconnects as after any other end. */
  cut(): boolean {
    if (this.#state !== 'ready') return false
    this.wire?.cut()
    this.#disconnected()
    this.#goAway()
    return true
  }

  pause(): void {
    if (this.#state === 'ready') this.wire?.pause()
  }

  resume(): void {
    if (this.#state === 'ready') this.wire?.resume()
  }

  close(): void {
    if (this.#state === 'ready') this.wire?.close()
    else this.wire?.cut()
    this.#state = 'gone'
    clearTimeout(this.#timer)
    this.onEnd()
  }

  protected abstract connect(listener: WireListener): Wire
  protected abstract onOpen(): void
  protected abstract onMessage(data: Buffer): void
  /** The connection has ended, at whatever stage. */
  protected abstract onEnd(): void
  protected abstract write(message: Outgoing): void

  /** The protocol has done its part before messages, since that time. */
  protected ready(since = performance.now()): void {
    if (this.#state !== 'opening') return
    clearTimeout(this.#timer)
    this.#state = 'ready'
    this.#failures = 0
    if (this.#wasReady) this.journal.returned(this)
    else this.journal.opened(since - this.#began)
    this.#wasReady = true
    this.#settled?.()
    for (const message of this.#waiting.splice(0)) this.write(message)
  }

  /** The protocol cannot continue, or the server has ended it by a message. */
  protected fail(end: WireEnd): void {
    this.wire?.cut()
    this.#onEnd(end)
  }

  #connect(): void {
    this.#state = 'opening'
    this.#began = performance.now()
    this.#timer = setTimeout(() => this.fail({ reason: 'timeout' }), OPEN_TIMEOUT)
    this.wire = this.connect({
      onOpen: () => this.onOpen(),
      onMessage: (data) => this.onMessage(data),
      onEnd: (end) => this.#onEnd(end)
    })
  }

  #onEnd(end: WireEnd): void {
    clearTimeout(this.#timer)
    this.#disconnected()
    this.journal.ended(end)
    if (this.#wasReady && !isFinal(end)) this.#goAway()
    else this.#leave()
  }

  /** Messages in progress have lost their answers. Those that wait for the next connection have not. */
  #disconnected(): void {
    this.onEnd()
    if (this.#state !== 'ready') return
    for (const publisher of this.publishers) publisher.interrupted()
  }

  #goAway(): void {
    this.#state = 'away'
    this.#timer = setTimeout(() => this.#connect(), backoff(this.#failures++))
  }

  #leave(): void {
    this.#state = 'gone'
    this.abandon()
    this.journal.left(this.feeds)
    this.#settled?.()
  }
}

function isFinal(end: WireEnd): boolean {
  if ('code' in end) return closeAdvice(end.code) === 'stop'
  return 'status' in end && FINAL_STATUSES.includes(end.status)
}
