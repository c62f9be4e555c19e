/** What a run of the checker leaves: what clients saw, what publishers were told, and what Redis has in the end. */
export interface History {
  readonly clients: readonly ClientLog[]
  readonly publishes: readonly Publish[]
  readonly finals: readonly Final[]
}

export interface ClientLog {
  readonly name: string
  readonly events: readonly ClientEvent[]
}

export interface Place {
  readonly offset: number
  readonly epoch: string
}

/** In the order in which the client saw them. `at` is in milliseconds. */
export type ClientEvent =
  | { readonly type: 'open'; readonly at: number }
  | { readonly type: 'close'; readonly at: number; readonly code: number }
  | { readonly type: 'asked'; readonly channel: string; readonly since?: Place }
  | ({
      readonly type: 'subscribed'
      readonly channel: string
      readonly recovered: boolean
      readonly at: number
    } & Place)
  | ({ readonly type: 'publication'; readonly channel: string; readonly id: number; readonly hash: string } & Place)
  /** The notice `insufficient_state`. */
  | ({ readonly type: 'hole'; readonly channel: string } & Place)
  /** The notice `lagging`: which channels are meant isn't said. */
  | { readonly type: 'lagging' }

/**
 * One publication as its publisher knows it: `ok` with a position, `error` where it was certainly not published,
 * `unknown` where all tries with its idempotency key ended without an answer that says.
 */
export interface Publish {
  readonly id: number
  readonly channel: string
  readonly hash: string
  readonly outcome: 'ok' | 'error' | 'unknown'
  readonly position?: Place
  /** Its place in a row of calls, none of which waited for the one before; none if it was tried again. */
  readonly call?: { readonly row: number; readonly at: number }
}

/** A channel in Redis after the run. */
export interface Final extends Place {
  readonly channel: string
  readonly entries: readonly { readonly offset: number; readonly id: number; readonly hash: string }[]
}
