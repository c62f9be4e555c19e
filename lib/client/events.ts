import type { Position } from '../protocol/position.ts'

/** A publication of a channel. `offset` and `epoch` are there if the channel has history. */
export interface Publication<Data = unknown> extends Partial<Position> {
  readonly channel: string
  readonly data: Data
}

/** The server's answer to a message or a request that it refuses. `send` and `request` reject with such errors too. */
export interface Failure {
  readonly code: string | number
  readonly message: string
  readonly [detail: string]: unknown
}

/** The events of a client. */
export interface ClientEvents<Message = unknown, Data = unknown> {
  /**
   * A connection is ready: the first, one after a reconnect, or one that replaces a connection to a draining server.
   */
  open: { readonly first: boolean }
  /** A message of the application. */
  message: Message
  publication: Publication<Data>
  /** Publications of this channel are lost: read its state again. The publications that follow are newer. */
  gap: { readonly channel: string }
  /** The server refused a message, or the token callback failed (code `token`). */
  error: Failure
  /** Other notices of the server, such as `lagging`. */
  notice: { readonly code: string; readonly [detail: string]: unknown }
  /** The state has changed: `connecting` while there is no connection, `open`, or `closed`. */
  state: ClientState
  /** The client has closed, and does not reconnect. */
  close: { readonly code: number; readonly reason: string }
}

export type ClientState = 'connecting' | 'open' | 'closed'

type Listener = (value: never) => void

export class Listeners {
  readonly #listeners = new Map<string, Set<Listener>>()

  /** Returns a function that removes the listener. */
  add(event: string, listener: Listener): () => void {
    const listeners = this.#listeners.get(event) ?? new Set()
    this.#listeners.set(event, listeners.add(listener))
    return () => void listeners.delete(listener)
  }

  emit(event: string, value: unknown): void {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) {
      try {
        listener(value as never)
      } catch (error) {
        // The application gets the error as an uncaught exception, and the client continues.
        setTimeout(() => {
          throw error
        })
      }
    }
  }
}
