import type { ClientEvents, ClientState } from './events.ts'
import type { SocketConstructor } from './link.ts'

export interface ConnectOptions {
  /**
   * Gives the token for a handshake; asked before each. `refused` is true if the server has just refused one: give a
   * new one then. Without this option no token is offered.
   */
  token?: ((about: { readonly refused: boolean }) => string | Promise<string>) | undefined
  /** Answers the server's requests; what it throws is answered with the error's `code` and `message`, if it has both. */
  respond?: ((data: unknown) => unknown) | undefined
  /**
   * The WebSocket to use: on Node 20, the one of the package `ws`.
   * @default the global one
   */
  WebSocket?: SocketConstructor | undefined
  /**
   * Messages that may wait to be sent, 0 or more. Past it `send` and `request` reject with `queue_full`.
   * @default 100
   */
  queue?: number | undefined
  /**
   * Milliseconds that an attempt to connect may take, and a request by default.
   * @default 10000
   */
  timeout?: number | undefined
  /**
   * Milliseconds: the wait before an attempt is random, up to `first` after one failure, twice as much after each
   * further one, and `max` at most.
   * @default { first: 1000, max: 30000 }
   */
  backoff?: { first?: number | undefined; max?: number | undefined } | undefined
  /**
   * Milliseconds of silence after which a connection is given up.
   * @default what the server says that it will not exceed
   */
  silence?: number | undefined
}

export interface RequestOptions {
  /** Milliseconds to wait for the reply. */
  timeout?: number | undefined
}

/** A connection to an `app.ws` route that comes back by itself. */
export interface RealtimeClient<Message = unknown, Data = unknown> {
  readonly state: ClientState
  /** Adds a listener; gives the function that removes it. */
  on<Event extends keyof ClientEvents>(
    event: Event,
    listener: (value: ClientEvents<Message, Data>[Event]) => void
  ): () => void
  /**
   * Sends a message, as JSON. While the client is away it waits, and is sent in its turn. Resolves when it was sent (one
   * that waited: when the server has taken it, on routes with `queued: true`). Rejects with `queue_full` or `closed`.
   */
  send(data: unknown): Promise<void>
  /**
   * Asks a route with `respond`, and resolves with its reply. Rejects with the server's error, or `timeout`,
   * `connection_lost` (it may have been done), `queue_full` or `closed`.
   */
  request(data: unknown, options?: RequestOptions): Promise<unknown>
  /** Ends the client. */
  close(): void
}
