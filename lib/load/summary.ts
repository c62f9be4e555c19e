import type { RecordableHistogram } from 'node:perf_hooks'
import type { Journal } from './journal.ts'
import type { ServerSample } from './server-usage.ts'
import { fill, type LoadOptions } from './target.ts'
import type { Moment } from './timeline.ts'
import { curveOf, type OwnUsage, type Percentiles, percentilesOf, rounded, whyNotCredible } from './times.ts'

type Usage = ReturnType<OwnUsage['end']>

/** How many milliseconds a part of a run took, and what this process used meanwhile. */
export type Stretch = { readonly took: number; readonly tool: Usage }

/** What else is known at the end of a run. */
export interface Course {
  readonly run: string
  readonly started: Date
  readonly interrupted: boolean
  readonly moments: readonly Moment[]
  readonly publishers: number
  readonly atEnd: number
  readonly connecting: Stretch
  readonly sending: Stretch
  /** The server's usage before and after the sending. */
  readonly before: ServerSample | undefined
  readonly after: ServerSample | undefined
}

/** Reliable percentiles, or the reason why there are none. */
export type Times = Percentiles | { readonly count: number; readonly notReported: string }

/** What `--json` prints. Times in milliseconds, memory in bytes, CPU in cores. */
export type LoadResult = ReturnType<typeof summarize>

// Share of a core: over it the load tool may be the limit of the figures.
const BUSY = 0.9

export function summarize(options: LoadOptions, journal: Journal, course: Course) {
  const { run, moments, connecting, sending, before, after } = course
  const { target, connections, subscriptions, rate, duration, ramp, payload, slowReaders, reconnectStorm } = options
  const latency = timesOf(journal.latency, sending.tool)
  const isCredible = !('notReported' in latency)
  return {
    run,
    started: course.started.toISOString(),
    // Of the first room, if there are several. Without the query, which may hold private data.
    url: target.origin + fill(target.path, run, 0).replace(/\?.*/, ''),
    protocol: target.protocol,
    transport: target.transport,
    interrupted: course.interrupted,
    asked: {
      ...{ connections, groups: target.groups, subscriptions, rate, duration, ramp, payload },
      ...{ slowReaders, reconnectStorm }
    },
    connections: {
      opened: journal.everOpened,
      atEnd: course.atEnd,
      ramp: rounded(connecting.took),
      refused: journal.refusals,
      failed: journal.failures,
      /** Ended by the server or the network, by code. */
      closes: journal.closes,
      reconnections: journal.reconnections
    },
    /** From the first packet until a connection could take part. */
    connectTime: timesOf(journal.connectTime, connecting.tool),
    messages: {
      ...journal.ledger.totals(),
      duration: rounded(sending.took),
      publishers: course.publishers,
      rejections: journal.rejections
    },
    /** From when a message was due to be sent until a subscriber had it. */
    latency,
    recoveries: journal.recoveries,
    storm: journal.storm,
    tool: sending.tool,
    server: before && after && { cpu: rounded(((after.cpu - before.cpu) * 1000) / sending.took), memory: after.memory },
    warnings: warningsOf(options, journal, course),
    curve: isCredible ? curveOf(journal.latency) : [],
    timeline: isCredible ? moments : moments.map((moment) => ({ ...moment, p50: null, p99: null, max: null }))
  }
}

function timesOf(histogram: RecordableHistogram, { loopDelay }: Usage): Times {
  const percentiles = percentilesOf(histogram)
  const why = histogram.count === 0 ? undefined : whyNotCredible(loopDelay, percentiles)
  return why === undefined ? percentiles : { count: histogram.count, notReported: why }
}

function warningsOf(options: LoadOptions, journal: Journal, { sending, publishers, interrupted }: Course): string[] {
  const warnings: string[] = []
  const missing = options.connections - journal.everOpened
  if (missing > 0 && !interrupted) warnings.push(`${missing} of ${options.connections} connections never took part`)
  if (sending.tool.cpu > BUSY) {
    warnings.push('the load tool used all of a core: the server may be faster than these figures say')
  }
  if (Object.keys(journal.rejections).length > 0) {
    const each = rounded(options.rate / publishers)
    warnings.push(`the server refused messages; each publisher sends ${each} a second: use more --publishers`)
  }
  return warnings
}
