import type { Position } from '../protocol/position.ts'

/** A publication of a channel. `offset` and `epoch` are there if the channel has history. */
export interface Publication<Data = unknown> extends Partial<Position> {
  readonly channel: string
  readonly data: Data
}

/** What the server answers to a message or a request that it refuses, and what a client rejects with. */
export interface Failure {
  readonly code: string | number
  readonly message: string
  readonly [detail: string]: unknown
}

/** What a client reports. */
export interface ClientEvents<Message = unknown, Data = unknown> {
  /** A connection is in use: the first, one after a break, or one that took over from a server that drains. */
  open: { readonly first: boolean }
  /** A message of the application. */
  message: Message
  publication: Publication<Data>
  /** Publications of this channel were missed for good: read its state anew. What follows is newer. */
  gap: { readonly channel: string }
  /** The server refused a message, or the token callback failed (code `token`). */
  error: Failure
  /** Other notices of the server, such as `lagging`. */
  notice: { readonly code: string; readonly [detail: string]: unknown }
  /** `connecting` until a connection is in use, and again while there is none. */
  state: ClientState
  /** The client has ended and does not come back. */
  close: { readonly code: number; readonly reason: string }
}

export type ClientState = 'connecting' | 'open' | 'closed'

type Listener = (value: never) => void

export class Listeners {
  readonly #listeners = new Map<string, Set<Listener>>()

  /** Gives the function that removes the listener. */
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
        // It is the application's to see, and not to stop the client.
        setTimeout(() => {
          throw error
        })
      }
    }
  }
}
