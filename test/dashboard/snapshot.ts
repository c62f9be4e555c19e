import type { Snapshot } from '../../lib/dashboard/messages.ts'

const nothing = { bounds: [0.01, 0.1], counts: [0, 0, 0] }

/** A snapshot of a node on which nothing happens. */
export function snapshotOf(figures: Partial<Snapshot> = {}): Snapshot {
  return {
    node: 'n1',
    name: 'node 1',
    pid: 1,
    at: 1_000,
    broker: { kind: 'memory', since: 0 },
    busy: 0,
    memory: 1,
    slow: [],
    last: false,
    connections: {},
    channels: 0,
    buffered: 0,
    brokerUp: true,
    shards: {},
    draining: false,
    drained: { closed: 0, terminated: 0 },
    received: 0,
    receivedBytes: 0,
    sent: 0,
    sentBytes: 0,
    dropped: 0,
    heartbeatTimeouts: 0,
    refused: {},
    rejected: {},
    closes: {},
    repairs: {},
    recoveries: {},
    lag: nothing,
    roundTrip: nothing,
    ...figures
  }
}
