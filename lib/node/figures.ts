/** A histogram so far: how many observations were at most each bound (seconds), and, last, how many there were. */
export interface Buckets {
  readonly bounds: readonly number[]
  readonly counts: readonly number[]
}

type Counts = Readonly<Record<string, number>>

/** The figures of one process. Counts are since the process started. */
export interface NodeFigures {
  /** Open connections by route. */
  readonly connections: Counts
  /** Channels that the node is subscribed to. */
  readonly channels: number
  /** Bytes that wait for slow readers. */
  readonly buffered: number
  readonly brokerUp: boolean
  /** The masters of a Redis Cluster, each with true if it can be used. Empty for any other broker. */
  readonly shards: Readonly<Record<string, boolean>>
  readonly draining: boolean
  /** The connections that the drain has ended: `closed` answered the close, `terminated` did not. */
  readonly drained: Counts
  readonly received: number
  readonly receivedBytes: number
  readonly sent: number
  readonly sentBytes: number
  readonly dropped: number
  readonly heartbeatTimeouts: number
  /** Refused handshakes by reason. */
  readonly refused: Counts
  /** Refused messages by reason. */
  readonly rejected: Counts
  /** Ended connections by close code. */
  readonly closes: Counts
  readonly repairs: Counts
  readonly recoveries: Counts
  /** From a publication to its delivery. */
  readonly lag: Buckets
  /** From ping to pong. */
  readonly roundTrip: Buckets
}
