import { Journal } from '../../lib/load/journal.ts'
import { type Course, type LoadResult, summarize } from '../../lib/load/summary.ts'
import type { LoadOptions } from '../../lib/load/target.ts'
import { record } from '../../lib/load/times.ts'

const TOOL = { cpu: 0.25, memory: 2 ** 20, loopDelay: { p50: 0, p99: 0, max: 0 } }
const OPTIONS: LoadOptions = {
  target: {
    protocol: 'channels',
    transport: 'websocket',
    origin: 'ws://h',
    path: '/{run}?secret',
    groups: 5,
    channelName: ''
  },
  ...{ subscriptions: 1, emulation: '', origin: undefined, connections: 10, ramp: 10, duration: 1000, rate: 100 },
  ...{ messages: 100, publishers: undefined, payload: 128, message: undefined, reconnectStorm: false, slowReaders: 0 },
  ...{ slowFor: 0, secret: 'never', tokens: ['shown'], users: 1, claims: {} }
}
const COURSE: Course = {
  ...{ run: 'abcd', started: new Date(0), interrupted: false, moments: [], publishers: 5, atEnd: 10 },
  connecting: { took: 12, tool: TOOL },
  sending: { took: 1000, tool: TOOL },
  ...{ before: undefined, after: undefined }
}

/** The result of a run of ten connections, with what the test adds. */
export function resultOf(
  { options = {}, course = {} }: { options?: Partial<LoadOptions>; course?: Partial<Course> } = {},
  happen = (_journal: Journal) => {}
): LoadResult {
  const journal = new Journal('abcd', performance.now())
  for (let at = 0; at < 10; at++) journal.opened(5)
  happen(journal)
  journal.latency.add(journal.latestLatency)
  return summarize({ ...OPTIONS, ...options }, journal, { ...COURSE, ...course })
}

/** Adds latencies. */
export function slowly(...milliseconds: number[]): (journal: Journal) => void {
  return ({ latestLatency }) => {
    for (const each of milliseconds) record(latestLatency, each)
  }
}

export const LATE_TOOL = { cpu: 0.95, memory: 2 ** 20, loopDelay: { p50: 20, p99: 30, max: 40 } }
