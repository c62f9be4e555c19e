import type { LoopDelay } from './measure/generator-usage.ts'
import type { Histogram } from './measure/histogram.ts'
import type { LedgerTotals } from './measure/ledger.ts'

/** Durations in milliseconds. */
export interface Percentiles {
  readonly count: number
  readonly mean: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly 'p99.9': number
  readonly max: number
}

/** Reliable percentiles, or the reason why there are none. */
export type Times = Percentiles | { readonly count: number; readonly notReported: string }

/** One moment of a run; counts are of the time since the one before. */
export interface Moment {
  /** Seconds since the run began. */
  readonly at: number
  readonly phase: Phase
  /** Seconds since the moment before. */
  readonly span: number
  readonly connected: number
  readonly published: number
  readonly delivered: number
  /** Milliseconds; null if nothing arrived. */
  readonly p50: number | null
  readonly p99: number | null
  readonly max: number | null
  /** The generator's own, in milliseconds. */
  readonly loopDelay: LoopDelay
  /** In cores. */
  readonly generatorCpu: number
  /** Both null if the server was not sampled since the moment before. It is sampled once a second or less often. */
  readonly serverCpu: number | null
  readonly serverMemory: number | null
}

/** `settling`: all is sent, and messages in progress may still arrive. */
export type Phase = 'connecting' | 'sending' | 'settling'

/** All results of a run: `--json` prints them, and the report shows them. Times in milliseconds, memory in bytes. */
export interface LoadResult {
  /** The run's name, which is part of channels, users and messages. */
  readonly run: string
  readonly started: string
  readonly url: string
  readonly protocol: 'channels' | 'rooms' | 'echo'
  /** True if Ctrl-C ended it early. */
  readonly interrupted: boolean
  readonly asked: {
    readonly connections: number
    readonly groups: number
    readonly subscriptions: number
    readonly rate: number
    readonly duration: number
    readonly ramp: number
    /** Bytes of a message. */
    readonly payload: number
    readonly slowReaders: number
    readonly reconnectStorm: boolean
    readonly tokens: string
  }
  readonly connections: {
    /** Connections that took part. */
    readonly opened: number
    /** Those that took part when all was sent and received. */
    readonly atEnd: number
    /** From the first to the last. */
    readonly ramp: number
    /** By the status of the answer. */
    readonly refused: Readonly<Record<string, number>>
    /** By the reason: `ECONNRESET`, `timeout`… */
    readonly failed: Readonly<Record<string, number>>
    /** Ended by the server or the network, by code. */
    readonly closes: Readonly<Record<string, number>>
    readonly reconnections: number
  }
  /** From the first packet until a connection could take part: subscribed, with channels and rooms. */
  readonly connectTime: Times
  readonly messages: LedgerTotals & {
    /** Of the sending, in milliseconds. */
    readonly duration: number
    readonly publishers: number
    /** Refused messages by code. */
    readonly rejections: Readonly<Record<string, number>>
    /**
     * Publications for which the server sent a notice that it dropped them for slow readers; they are among those lost.
     */
    readonly announcedDrops: number
  }
  /** From when a message was due to be sent until a subscriber had it. */
  readonly latency: Times
  /** Subscriptions that asked for missed messages. */
  readonly recoveries: { readonly recovered: number; readonly notRecovered: number }
  readonly storm: {
    readonly cut: number
    readonly back: number
    /** Until the last was connected again; null if some never were. */
    readonly milliseconds: number | null
  } | null
  readonly generator: {
    /** In cores, while sending. */
    readonly cpu: number
    readonly memory: number
    /** While sending. */
    readonly loopDelay: LoopDelay
    /** How late messages left. */
    readonly lateness: LoopDelay
  }
  /** Null if nothing is known of it. */
  readonly server: {
    readonly source: 'process' | 'metrics'
    readonly processes: number | null
    /** In cores, while sending. */
    readonly cpu: number | null
    /** The most of it. */
    readonly memory: number | null
  } | null
  readonly warnings: readonly string[]
  /** Deliveries by how long they took. */
  readonly distribution: readonly LatencyBar[]
  readonly timeline: readonly Moment[]
}

export interface LatencyBar {
  /** Milliseconds. */
  readonly from: number
  readonly to: number
  readonly count: number
}

const BARS_PER_DOUBLING = 4

/** To three decimals of a millisecond, which is its resolution. */
export function rounded(value: number): number {
  return Math.round(value * 1000) / 1000
}

export function percentilesOf(histogram: Histogram): Percentiles {
  return {
    count: histogram.count,
    mean: rounded(histogram.mean),
    p50: rounded(histogram.percentile(50)),
    p90: rounded(histogram.percentile(90)),
    p99: rounded(histogram.percentile(99)),
    'p99.9': rounded(histogram.percentile(99.9)),
    max: rounded(histogram.max)
  }
}

/** Bars from the least to the most that was measured, four to each doubling. */
export function distributionOf(histogram: Histogram): LatencyBar[] {
  if (histogram.count === 0) return []
  const edge = (index: number) => 2 ** (index / BARS_PER_DOUBLING)
  // Values below a sixteenth of a millisecond share one bar.
  const first = Math.floor(Math.log2(Math.max(1 / 16, histogram.min)) * BARS_PER_DOUBLING)
  const last = Math.floor(Math.log2(Math.max(1 / 16, histogram.max)) * BARS_PER_DOUBLING)
  return Array.from({ length: last - first + 1 }, (_, at) => {
    const from = at === 0 ? 0 : edge(first + at)
    // The end of the last bucket may lie past its highest value.
    const to = first + at === last ? Number.POSITIVE_INFINITY : edge(first + at + 1)
    return {
      from: rounded(edge(first + at)),
      to: rounded(edge(first + at + 1)),
      count: histogram.countBetween(from, to)
    }
  })
}
