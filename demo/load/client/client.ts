import { shouldReconnect } from 'fastify-realtime/client'
import type { Publisher } from '../measure/publisher.ts'
import { backoff } from './backoff.ts'
import { Connection, type ConnectionEnd, type Endpoint } from './connection.ts'
import type { Outgoing, Subscription } from './subscription.ts'

/** Gets the events of the connections. */
export interface ClientObserver {
  /** The client takes part, this many milliseconds after it began to connect. */
  opened(milliseconds: number): void
  /** The client takes part again, after its connection had ended. */
  returned(client: Client): void
  /** An open connection ended, not by this side. */
  closed(code: number): void
  /** The client will not take part any more. */
  left(client: Client): void
  /** A handshake was answered with a status, or failed for that reason. */
  refused(status: number): void
  failed(reason: string): void
  /** An application's message arrived, parsed. */
  received(client: Client, subscription: Subscription, message: unknown): void
  /** A subscription asked for missed messages. It got all of them, or a notice that this is not possible. */
  recovered(all: boolean): void
  /** The server sent a notice that it dropped publications, since this client was slow. */
  dropped(count: number): void
  /** The server confirmed a message. */
  confirmed(message: Outgoing): void
  /** The server refused a message: this one, if the server named it. */
  rejected(client: Client, code: string, message: Outgoing | undefined): void
}

export interface ClientSetup {
  readonly endpoint: Endpoint
  readonly subscriptions: readonly Subscription[]
  readonly observer: ClientObserver
  readonly isSlow: boolean
}

// The limit for a handshake, or the commands after it, without an answer.
const OPEN_TIMEOUT = 20_000
const CLOSE_PATIENCE = 3_000
// The same handshake would get these answers again.
const FINAL_STATUSES = new Set([400, 401, 403, 404])

/** One client. When its connection ends it makes another. The protocol is up to the subclass. */
export abstract class Client {
  readonly subscriptions: readonly Subscription[]
  /** Stops reading for a while. Its deliveries do not count in the latencies. */
  readonly isSlow: boolean
  /** Those that publish over this connection. */
  readonly publishers: Publisher[] = []
  protected readonly observer: ClientObserver
  protected readonly endpoint: Endpoint
  #connection: Connection | undefined
  #state: 'new' | 'opening' | 'ready' | 'away' | 'gone' = 'new'
  #wasReady = false
  #attempts = 0
  #began = 0
  #timer: NodeJS.Timeout | undefined
  /** Messages that became due while there was no connection. */
  #waiting: Outgoing[] = []
  /** Resolves `open`. */
  #settled: () => void = () => {}

  constructor({ endpoint, subscriptions, observer, isSlow }: ClientSetup) {
    this.endpoint = endpoint
    this.subscriptions = subscriptions
    this.observer = observer
    this.isSlow = isSlow
  }

  get isReady(): boolean {
    return this.#state === 'ready'
  }

  /** True between two connections. */
  get isAway(): boolean {
    return this.#wasReady && (this.#state === 'away' || this.#state === 'opening')
  }

  /** Connects for the first time. Resolves once the client takes part or has failed, which the observer gets. */
  open(): Promise<void> {
    return new Promise((resolve) => {
      this.#settled = resolve
      this.#connect()
    })
  }

  /** Sends it now, or as soon as the client is connected again. A client that will not reconnect never sends it. */
  send(message: Outgoing): void {
    if (this.#state === 'ready') this.write(message)
    else if (this.#state === 'gone') message.publisher.interrupted()
    else this.#waiting.push(message)
  }

  /** Gives up the messages that wait for the connection: no subscriber will have seen them. */
  abandon(): void {
    this.#waiting = []
    for (const publisher of this.publishers) publisher.interrupted()
  }

  /** Ends the connection at once. True if there was one. The client reconnects as after any other end. */
  cut(): boolean {
    if (this.#state !== 'ready') return false
    this.#connection?.reset()
    this.onDisconnected()
    this.#interrupt()
    this.#goAway()
    return true
  }

  pause(): void {
    if (this.#state === 'ready') this.#connection?.pause()
  }

  resume(): void {
    if (this.#state === 'ready') this.#connection?.resume()
  }

  /** Ends the client for good. Resolves once the connection is closed. */
  async close(): Promise<void> {
    const { isReady } = this
    this.#state = 'gone'
    clearTimeout(this.#timer)
    this.onDisconnected()
    if (isReady) await this.#connection?.close(CLOSE_PATIENCE)
    else this.#connection?.reset()
  }

  /** The path of the next attempt. */
  protected path(): string {
    return this.endpoint.path
  }

  /** The handshake is done. */
  protected abstract onOpen(): void
  protected abstract onMessage(text: string): void
  /** The connection has ended, at whatever stage. */
  protected abstract onDisconnected(): void
  protected abstract write(message: Outgoing): void

  protected sendText(text: string): void {
    this.#connection?.send(text)
  }

  /** The protocol has done its part before messages, since that time. */
  protected ready(since = performance.now()): void {
    if (this.#state !== 'opening') return
    clearTimeout(this.#timer)
    this.#state = 'ready'
    this.#attempts = 0
    if (this.#wasReady) {
      this.observer.returned(this)
    } else {
      this.#wasReady = true
      this.observer.opened(since - this.#began)
      this.#settled()
    }
    for (const message of this.#waiting.splice(0)) this.write(message)
  }

  /** The protocol got an answer with which it cannot continue. */
  protected fail(reason: string): void {
    this.#connection?.reset()
    this.#onEnd({ how: 'failed', reason })
  }

  #connect(): void {
    this.#state = 'opening'
    this.#began = performance.now()
    this.#timer = setTimeout(() => this.fail('timeout'), OPEN_TIMEOUT)
    this.#connection = new Connection(
      { ...this.endpoint, path: this.path() },
      {
        onOpen: () => this.onOpen(),
        onMessage: (text) => this.onMessage(text),
        onEnd: (end) => this.#onEnd(end)
      }
    )
  }

  #onEnd(end: ConnectionEnd): void {
    clearTimeout(this.#timer)
    this.onDisconnected()
    if (this.#state === 'ready') this.#interrupt()
    if (end.how === 'closed') this.observer.closed(end.code)
    else if (end.how === 'refused') this.observer.refused(end.status)
    else this.observer.failed(end.reason)
    if (this.#wasReady && !isFinal(end)) this.#goAway()
    else this.#leave()
  }

  /** Messages in progress on an open connection have lost their answers. Those that wait for the next one have not. */
  #interrupt(): void {
    for (const publisher of this.publishers) publisher.interrupted()
  }

  #goAway(): void {
    this.#state = 'away'
    this.#timer = setTimeout(() => this.#connect(), backoff(this.#attempts++))
  }

  #leave(): void {
    this.#state = 'gone'
    this.abandon()
    this.observer.left(this)
    this.#settled()
  }
}

/** Whether reconnecting makes no sense. */
function isFinal(end: ConnectionEnd): boolean {
  if (end.how === 'closed') return !shouldReconnect(end.code)
  return end.how === 'refused' && FINAL_STATUSES.has(end.status)
}
