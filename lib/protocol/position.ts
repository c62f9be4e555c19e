/** A position in a channel's history. The offset 0 is before the first publication. */
export interface Position {
  readonly offset: number
  /** Identifies one history. Positions with different epochs cannot be compared. */
  readonly epoch: string
}
