/** Counts of one connection. */
export interface ConnectionStats {
  readonly messagesIn: number
  readonly messagesOut: number
  readonly bytesIn: number
  readonly bytesOut: number
  /** Publications dropped because the reader was slow. */
  readonly dropped: number
  /** Messages refused: rate, JSON, schema, depth. */
  readonly rejected: number
  /** Messages that wait for the handler. */
  readonly queued: number
  /** Milliseconds since the connection opened. */
  readonly age: number
}
