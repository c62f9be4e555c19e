/** A place in a channel's history. `offset` 0 is before the first publication. */
export interface Position {
  readonly offset: number
  /** Names one history: positions of different epochs cannot be compared. */
  readonly epoch: string
}
