import type { LoadOptions } from './command/options.ts'
import { fill } from './command/target.ts'
import type { Crew } from './crew.ts'
import { whyNotCredible } from './measure/credibility.ts'
import type { GeneratorUsage, LoopDelay } from './measure/generator-usage.ts'
import { Histogram } from './measure/histogram.ts'
import type { ServerSample } from './measure/server-usage.ts'
import type { Timeline } from './measure/timeline.ts'
import { distributionOf, type LoadResult, type Moment, percentilesOf, rounded, type Times } from './result.ts'
import type { Setting } from './setting.ts'

type GeneratorTotal = ReturnType<GeneratorUsage['total']>

/** Everything that is known at the end of a run. Times in milliseconds. */
export interface Evidence {
  readonly options: LoadOptions
  readonly setting: Setting
  readonly started: Date
  readonly interrupted: boolean
  readonly crew: Crew
  readonly timeline: Timeline
  readonly publishers: number
  /** Undefined if nothing was sent. */
  readonly lateness: Histogram | undefined
  readonly connecting: { readonly took: number; readonly generator: GeneratorTotal }
  readonly sending: {
    readonly took: number
    readonly generator: GeneratorTotal
    readonly server: { readonly before: ServerSample | undefined; readonly after: ServerSample | undefined }
  }
}

// Share of a core: over it the generator may be the limit of the figures.
const BUSY = 0.9

/** Sums a run up. */
export function summarize(evidence: Evidence): LoadResult {
  const { options, setting, crew, connecting, sending, timeline } = evidence
  const { target } = options
  const latency = timesOf(crew.latency, sending.generator.delay)
  return {
    run: setting.run,
    started: evidence.started.toISOString(),
    // The first room's path, if there are several; without the query, which may hold private data.
    url: target.url.origin + fill(target.path, setting.run, 0).replace(/\?.*/, ''),
    protocol: target.protocol,
    interrupted: evidence.interrupted,
    asked: {
      connections: options.connections,
      groups: target.protocol === 'echo' ? options.connections : target.groups,
      subscriptions: options.subscriptions,
      rate: options.rate,
      duration: options.duration,
      ramp: options.ramp,
      payload: options.payload,
      slowReaders: options.slowReaders,
      reconnectStorm: options.reconnectStorm,
      tokens: setting.tokens.source
    },
    connections: {
      opened: crew.everOpened,
      atEnd: crew.present,
      ramp: rounded(connecting.took),
      refused: crew.refusals.toJSON(),
      failed: crew.failures.toJSON(),
      closes: crew.closes.toJSON(),
      reconnections: crew.reconnections
    },
    connectTime: timesOf(crew.connectTime, connecting.generator.delay),
    messages: {
      ...crew.ledger.totals(),
      duration: rounded(sending.took),
      publishers: evidence.publishers,
      rejections: crew.rejections.toJSON(),
      announcedDrops: crew.announcedDrops
    },
    latency,
    recoveries: crew.recoveries,
    storm: crew.storm === undefined ? null : stormOf(crew.storm),
    generator: generatorOf(evidence),
    server: serverOf(evidence),
    warnings: warningsOf(evidence),
    distribution: 'notReported' in latency ? [] : distributionOf(crew.latency),
    timeline: 'notReported' in latency ? timeline.moments.map(withoutLatency) : timeline.moments
  }
}

function timesOf(histogram: Histogram, loopDelay: LoopDelay): Times {
  const percentiles = percentilesOf(histogram)
  if (histogram.count === 0) return percentiles
  const why = whyNotCredible(loopDelay, percentiles)
  return why === undefined ? percentiles : { count: histogram.count, notReported: why }
}

/** If a figure of the whole is not reported, those of its parts are not either. */
function withoutLatency(moment: Moment): Moment {
  return { ...moment, p50: null, p99: null, max: null }
}

function stormOf({ cut, back, milliseconds }: NonNullable<Crew['storm']>): LoadResult['storm'] {
  return { cut, back, milliseconds: milliseconds === undefined ? null : rounded(milliseconds) }
}

function generatorOf({ sending, lateness = new Histogram() }: Evidence): LoadResult['generator'] {
  const { cpu, memory, delay } = sending.generator
  const { p50, p99, max } = percentilesOf(lateness)
  return {
    cpu: rounded(cpu),
    memory,
    loopDelay: { p50: rounded(delay.p50), p99: rounded(delay.p99), max: rounded(delay.max) },
    lateness: { p50, p99, max }
  }
}

function serverOf({ setting, sending, timeline }: Evidence): LoadResult['server'] {
  const { server } = setting
  if (server === undefined) return null
  const { before, after } = sending.server
  const memory = Math.max(timeline.serverMemory ?? 0, after?.memory ?? 0)
  return {
    source: server.source,
    processes: server.processes ?? null,
    cpu: before && after ? rounded((after.cpu - before.cpu) / (sending.took / 1000)) : null,
    memory: memory === 0 ? null : memory
  }
}

function warningsOf({ options, crew, sending, publishers, interrupted }: Evidence): string[] {
  const warnings: string[] = []
  if (crew.everOpened < options.connections && !interrupted) {
    const missing = options.connections - crew.everOpened
    warnings.push(`${missing} of ${options.connections} connections never took part`)
  }
  if (sending.generator.cpu > BUSY) {
    warnings.push('the generator used a core to its end: the server may be faster than these figures say')
  }
  const perPublisher = options.rate / publishers
  if (crew.rejections.total > 0 && perPublisher > 1) {
    warnings.push(
      `the server refused messages; each publisher sends ${rounded(perPublisher)} a second: more --publishers send fewer each`
    )
  }
  return warnings
}
