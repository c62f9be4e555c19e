import type { Registry } from 'prom-client'

/** A histogram so far: how many observations were at most each bound (seconds), and, last, how many there were. */
export interface Buckets {
  readonly bounds: readonly number[]
  readonly counts: readonly number[]
}

type Counts = Readonly<Record<string, number>>

/** The dashboard's figures of one process, from its metrics: counts are since the process started. */
export interface Figures {
  /** Open connections by route. */
  readonly connections: Counts
  readonly channels: number
  /** Bytes that wait for slow readers. */
  readonly buffered: number
  readonly brokerUp: boolean
  readonly draining: boolean
  /** The connections that the drain has ended; zero until its end. */
  readonly drained: Counts
  readonly received: number
  readonly receivedBytes: number
  readonly sent: number
  readonly sentBytes: number
  readonly dropped: number
  readonly heartbeatTimeouts: number
  readonly refused: Counts
  readonly rejected: Counts
  readonly closes: Counts
  readonly repairs: Counts
  readonly recoveries: Counts
  readonly lag: Buckets
  readonly roundTrip: Buckets
}

interface Value {
  readonly labels: Readonly<Record<string, string | number | undefined>>
  readonly value: number
  readonly metricName?: string
}

/**
 * Reads the metrics of this package only. Those of the process itself take longer than all of these (the open files of
 * 10,000 connections are counted one by one).
 */
export async function readFigures(registry: Registry): Promise<Figures> {
  const values = async (name: string): Promise<readonly Value[]> => {
    const metric = registry.getSingleMetric(`realtime_${name}`)
    return metric === undefined ? [] : (await metric.get()).values
  }
  const total = async (name: string) => (await values(name)).reduce((sum, { value }) => sum + value, 0)
  const by = async (label: string, name: string) => countBy(await values(name), label)
  return {
    connections: await by('route', 'connections'),
    channels: await total('channels'),
    buffered: await total('buffered_bytes'),
    brokerUp: (await total('broker_up')) === 1,
    draining: (await total('draining')) === 1,
    drained: await by('how', 'drain_connections_total'),
    received: await total('messages_received_total'),
    receivedBytes: await total('received_bytes_total'),
    sent: await total('messages_sent_total'),
    sentBytes: await total('sent_bytes_total'),
    dropped: await total('publications_dropped_total'),
    heartbeatTimeouts: await total('heartbeat_timeouts_total'),
    refused: await by('reason', 'handshakes_refused_total'),
    rejected: await by('reason', 'messages_rejected_total'),
    closes: await by('code', 'closes_total'),
    repairs: await by('outcome', 'position_repairs_total'),
    recoveries: await by('outcome', 'recoveries_total'),
    lag: bucketsOf(await values('delivery_lag_seconds')),
    roundTrip: bucketsOf(await values('round_trip_seconds'))
  }
}

function countBy(values: readonly Value[], label: string): Counts {
  return Object.fromEntries(values.map(({ labels, value }) => [String(labels[label]), value]))
}

function bucketsOf(values: readonly Value[]): Buckets {
  const buckets = values.filter(({ metricName }) => metricName?.endsWith('_bucket'))
  return {
    bounds: buckets.map(({ labels }) => Number(labels.le)).filter(Number.isFinite),
    counts: buckets.map(({ value }) => value)
  }
}
