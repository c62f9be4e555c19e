import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { subprotocols } from '../protocol/subprotocol.ts'
import { testToken } from '../testing/token.ts'
import { ChannelClient } from './channel-client.ts'
import type { ClientSetup, LoadClient } from './client.ts'
import { Crew } from './crew.ts'
import { Journal } from './journal.ts'
import { checkFileLimit, checkServer, RunError } from './preflight.ts'
import { sendAll } from './sender.ts'
import { sampleServer } from './server-usage.ts'
import { SocketClient } from './socket-client.ts'
import { stampWriter } from './stamp.ts'
import { type LoadResult, type Stretch, summarize } from './summary.ts'
import { fill, type LoadOptions } from './target.ts'
import { type Moment, Timeline } from './timeline.ts'
import { OwnUsage } from './times.ts'

// The remaining work of the handshakes is done after so many milliseconds.
const LULL = 250
const SLOW_FROM = 1 / 4
const STORM_AT = 1 / 2
// Real connections rarely publish more often. Our servers allow 100 a second.
const RATE_PER_PUBLISHER = 20

// Milliseconds for which a signed token is valid after the run.
const SPARE_TIME = 3_600_000
// Messages in progress have this long to arrive. Each arrival gives the others as long again.
const PATIENCE = 5_000
// A client waits for up to 20 s before it tries to connect again.
const PATIENCE_FOR_ABSENTEES = 30_000
const LONGEST_SETTLING = 120_000
// After Ctrl-C the user expects the figures so far.
const IMPATIENCE = 1_000
const SETTLING_TICK = 50

/**
 * Makes a run: opens the connections, sends, waits for messages in progress, and sums up. If the signal aborts it ends
 * early, with the figures so far. Throws a RunError if no connection could take part.
 */
export async function runLoad(
  options: LoadOptions,
  signal: AbortSignal,
  onMoment: (moment: Moment) => void
): Promise<LoadResult> {
  const { target, connections, ramp, duration } = options
  const run = randomBytes(4).toString('hex')
  checkFileLimit(connections)
  await checkServer(new URL(target.origin))
  const server = target.origin.replace(/^ws/, 'http')
  const started = new Date()
  const origin = performance.now()
  const journal = new Journal(run, origin)
  const crew = new Crew(makeClients(options, run, journal), journal)
  const timeline = new Timeline(crew, journal, origin, ramp + duration, onMoment)
  try {
    const connecting = await measured(() => crew.open(ramp, signal))
    if (journal.everOpened === 0 && !signal.aborted) throw new RunError(whyNobody(journal))
    // It rejects if the run is ended early. What follows looks at the signal itself.
    await delay(LULL, undefined, { signal }).catch(() => {})

    timeline.phase = 'sending'
    const before = await sampleServer(server)
    const outlets = signal.aborted ? [] : crew.begin((able) => publisherCount(options, able))
    const write = stampWriter(run, options.payload, options.message)
    const stopDisturbing = disturb(options, crew, journal)
    const sending = await measured(() => sendAll(outlets, write, origin, options, signal))
    stopDisturbing(signal.aborted)
    const after = before && (await sampleServer(server))

    timeline.phase = 'settling'
    await settle(crew, journal, signal)
    for (const client of crew.clients) if (client.isAway) client.abandon()
    timeline.look()
    const { moments } = timeline
    const ended = { interrupted: signal.aborted, moments, publishers: outlets.length, atEnd: crew.present }
    return summarize(options, journal, { run, started, ...ended, connecting, sending, before, after })
  } finally {
    timeline.stop()
    crew.close()
  }
}

async function measured(work: () => Promise<void>): Promise<Stretch> {
  const usage = new OwnUsage()
  const from = performance.now()
  await work()
  return { took: performance.now() - from, tool: usage.end() }
}

function makeClients(options: LoadOptions, run: string, journal: Journal): LoadClient[] {
  const { target, connections, subscriptions, slowReaders, origin, emulation } = options
  const { protocol, transport } = target
  return Array.from({ length: connections }, (_, at) => {
    const groups = Array.from({ length: subscriptions }, (_, which) => (at * subscriptions + which) % target.groups)
    const feeds = groups.map((group) => {
      return { group, channel: fill(target.channelName, run, group), offset: 0, epoch: '', receipt: undefined }
    })
    const token = tokenOf(options, run, at)
    const isHttp = transport === 'http_stream' || transport === 'sse'
    const url = new URL(fill(target.path, run, groups[0] as number), target.origin)
    if (transport === 'protobuf') url.searchParams.set('format', 'protobuf')
    const endpoint = {
      url,
      protocols: token === undefined ? [] : subprotocols(token),
      headers: {
        ...(origin !== undefined && { origin }),
        ...(isHttp && token !== undefined && { authorization: `Bearer ${token}` })
      },
      emulation,
      transport
    }
    // The last connections are slow. The first of each channel publish, so they are not.
    const setup: ClientSetup = { feeds, journal, isSlow: at >= connections - slowReaders }
    if (protocol === 'channels') return new ChannelClient(setup, endpoint)
    return new SocketClient(setup, endpoint, protocol === 'echo')
  })
}

/** A token of the given ones, or one that is signed here, or none. */
function tokenOf({ tokens, secret, users, claims, ramp, duration }: LoadOptions, run: string, at: number) {
  if (secret === undefined) return tokens[at % tokens.length]
  const expiresIn = ramp + duration + SPARE_TIME
  return testToken({ sub: `load-${run}-${at % users}`, ...claims }, { secret, expiresIn })
}

/** How many connections of a group publish, of so many that can. */
function publisherCount({ target, rate, publishers }: LoadOptions, able: number): number {
  if (target.protocol === 'echo') return 1
  return Math.min(able, publishers ?? Math.max(1, Math.ceil(rate / target.groups / RATE_PER_PUBLISHER)))
}

/** Slows readers down and cuts connections, as the options say. Returns what ends that. */
function disturb(options: LoadOptions, crew: Crew, journal: Journal): (interrupted: boolean) => void {
  const duration = Math.min(options.duration, (options.messages / options.rate) * 1000)
  const slow = crew.clients.filter(({ isSlow }) => isSlow)
  const resume = () => {
    for (const client of slow) client.resume()
  }
  const pause = () => {
    for (const client of slow) client.pause()
  }
  const from = duration * SLOW_FROM
  const timers = [setTimeout(pause, from), setTimeout(resume, from + options.slowFor)]
  if (options.reconnectStorm) timers.push(setTimeout(() => crew.cutAll(), duration * STORM_AT))
  return (interrupted) => {
    for (const timer of timers) clearTimeout(timer)
    resume()
    // On a very busy machine its time may have passed.
    if (options.reconnectStorm && journal.storm === null && !interrupted) crew.cutAll()
  }
}

/** Waits until all clients are connected again and have everything, or until nothing more arrives. */
async function settle(crew: Crew, journal: Journal, signal: AbortSignal): Promise<void> {
  const start = performance.now()
  let progress = -1
  let last = start
  while (crew.hasAbsentees || !journal.ledger.isComplete()) {
    const now = performance.now()
    const latest = journal.ledger.delivered + journal.reconnections
    if (latest !== progress) last = now
    progress = latest
    const patience = crew.hasAbsentees ? PATIENCE_FOR_ABSENTEES : PATIENCE
    if (now - last > (signal.aborted ? IMPATIENCE : patience) || now - start > LONGEST_SETTLING) return
    await delay(SETTLING_TICK)
  }
}

const HINTS: Readonly<Record<string, string>> = {
  400: 'the server does not understand the handshake: check the path of the URL and --transport',
  401: 'the server requires a token, or refused it: set JWT_SECRET or LOAD_TOKEN, or use --token-file',
  403: 'the server does not take this client: check --origin, and the rights of the token’s user',
  404: 'there is no such route: check the path of the URL',
  429: 'too many at once: use a longer --ramp, or more --users',
  503: 'the server is full, or about to end'
}

function whyNobody({ refusals, failures, closes }: Journal): string {
  const reasons = [
    ...Object.entries(refusals).map(([status, count]) => {
      return `refused with ${status} (${count} times)${HINTS[status] === undefined ? '' : `: ${HINTS[status]}`}`
    }),
    ...Object.entries(closes).map(([code, count]) => `closed with ${code} (${count} times)`),
    ...Object.entries(failures).map(([reason, count]) => `${reason} (${count} times)`)
  ]
  return `no connection could take part: ${reasons.join('; ')}`
}
