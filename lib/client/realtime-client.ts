import type { ClientEvents, ClientState } from './events.ts'
import type { SocketConstructor } from './link.ts'

export interface ConnectOptions {
  /**
   * Returns the token for a handshake. Called before each handshake. If `refused` is true, the server has just refused
   * a token: return a new one. Without this option the client sends no token.
   */
  token?: ((about: { readonly refused: boolean }) => string | Promise<string>) | undefined
  /**
   * Answers the server's requests. If it throws, the answer has the `code` (by default `internal`) and `message` of the
   * error.
   */
  respond?: ((data: unknown) => unknown) | undefined
  /**
   * The `WebSocket` class to use. Node 20 has none: use the one of the package `ws`.
   * @default the global one
   */
  WebSocket?: SocketConstructor | undefined
  /**
   * Maximum number of messages that wait to be sent, 0 or more. If more would wait, `send` and `request` reject with
   * `queue_full`.
   * @default 100
   */
  queue?: number | undefined
  /**
   * Milliseconds that an attempt to connect may take. Also the default timeout of a request.
   * @default 10000
   */
  timeout?: number | undefined
  /**
   * The wait before a new attempt, in milliseconds. It is random, between 0 and a limit: `first` after one failure,
   * doubled after each further failure, at most `max`.
   * @default { first: 1000, max: 30000 }
   */
  backoff?: { first?: number | undefined; max?: number | undefined } | undefined
  /**
   * Milliseconds of silence after which the client closes a connection and reconnects.
   * @default 1.1 times the ping interval that the server announces, plus 10,000
   */
  silence?: number | undefined
}

export interface RequestOptions {
  /** Milliseconds to wait for the reply. */
  timeout?: number | undefined
}

/** A connection to an `app.ws` route that reconnects by itself. */
export interface RealtimeClient<Message = unknown, Data = unknown> {
  readonly state: ClientState
  /** Adds a listener. Returns a function that removes it. */
  on<Event extends keyof ClientEvents>(
    event: Event,
    listener: (value: ClientEvents<Message, Data>[Event]) => void
  ): () => void
  /**
   * Sends a message, as JSON. While the client is offline, messages wait in a queue, and are sent later in the same
   * order. Resolves when the message was sent. If it was queued and the route has `queued: true`, it resolves when the
   * server has handled the message. Rejects with `queue_full` or `closed`.
   */
  send(data: unknown): Promise<void>
  /**
   * Sends a request to a route with `respond`, and resolves with the reply. Rejects with the server's error, or with
   * `timeout`, `connection_lost` (the request may have been handled), `queue_full` or `closed`.
   */
  request(data: unknown, options?: RequestOptions): Promise<unknown>
  /** Ends the client. */
  close(): void
}
