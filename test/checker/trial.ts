import type { Test } from 'tap'
import { RedisBroker } from '../../lib/broker/redis/redis-broker.ts'
import { until } from '../support/redis-server.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import { ChannelSubscriber } from './channel-subscriber.ts'
import { check, type Figures, type Violation } from './check.ts'
import type { ClientLog, Final, History, Place, Publish } from './history.ts'
import type { Mutation } from './mutations.ts'
import { NodeProcess } from './node-process.ts'
import { Publisher } from './publisher.ts'
import { seeded } from './random.ts'
import { HISTORY, type ServerSettings } from './server.ts'
import { hashOf, Subscriber } from './subscriber.ts'
import type { Transport } from './transports.ts'

/**
 * What clients speak: as `app.ws` routes have it, the channel protocol by its published client over one of its
 * transports, or half of them sockets and half of them channels.
 */
export type Protocol = 'sockets' | Transport | 'both'

/** A client of a trial. */
export interface TrialClient extends ClientLog {
  readonly channels: readonly string[]
  readonly isSettled: boolean
  readonly gaps: readonly number[]
  positionOf(channel: string): Place | undefined
  drop(): void
  stop(): void
}

export interface TrialOptions {
  readonly seed: number
  /** @default 'sockets' */
  readonly protocol?: Protocol
  /** How long faults are injected, in seconds. */
  readonly seconds: number
  readonly clients: number
  readonly channels: number
  /** Publications a second. */
  readonly rate: number
  readonly mutation?: Mutation
  /** Channels of each client. @default 5 */
  readonly perClient?: number
  /** @default 3 */
  readonly nodes?: number
  /** Milliseconds within which all must be at rest after the last fault. @default 25_000 */
  readonly settleTimeout?: number
}

/** What a fault has to work on. */
export interface Arena {
  readonly nodes: readonly NodeProcess[]
  readonly clients: readonly TrialClient[]
  readonly random: () => number
  /** Of the channels' names in Redis. */
  readonly prefix: string
  readonly channels: readonly string[]
  /** Notes a publication that the fault itself has made. */
  published(publish: Publish): void
  /** Waits; false once the time for faults is over. */
  pause(milliseconds: number): Promise<boolean>
}

export interface Fault {
  readonly name: string
  /** Redis loses nothing here and keeps its identity: clients must not be told of a single gap. */
  readonly lossless: boolean
  /** Done to the nodes' code: a fault of what is between them and Redis. */
  readonly mutation?: Mutation
  /** Publications that each publisher makes without waiting for one before the next. @default 1 */
  readonly row?: number
  /** Bytes a second for a third of the clients, which have one channel each. */
  readonly slowReaders?: number
  prepare(t: Test): Promise<Prepared>
}

/** Redis, started. */
export interface Prepared {
  /** What nodes connect to. */
  readonly redis: ServerSettings['redis']
  /** Injects the fault until `pause` says false, and heals. */
  inject(arena: Arena): Promise<void>
  /** Called after `inject`. True for a channel that the fault must leave alone, though it is not lossless: no gap there. */
  spares?(channel: string): boolean
}

export interface TrialResult {
  readonly fault: string
  readonly protocol: Protocol
  readonly seconds: number
  readonly figures: Figures & { readonly retried: number; readonly disconnects: number }
  /** Milliseconds from the loss of a connection until all of the client's channels were subscribed again. */
  readonly recoveryGap: {
    readonly p50: number
    readonly p90: number
    readonly p99: number
    readonly max: number
  } | null
  readonly violations: readonly (
    | Violation
    | { readonly rule: 'node' | 'gap' | 'unsettled' | 'disconnect'; readonly message: string }
  )[]
}

const PATIENCE = 10_000
const SETTLE_TIMEOUT = 25_000
// Sooner than by default (30 to 40 s): a run has to see what only an audit finds, such as FLUSHALL in a quiet moment.
const TIMES = { auditPeriod: [8_000, 10_000] } as const
// Before the first fault.
const WARM_UP = 500

const FORBIDDEN = 4403

let trials = 0

/** Runs nodes, clients and publishers under a fault, lets them come to rest, and judges what they logged. */
export async function runTrial(t: Test, fault: Fault, options: TrialOptions): Promise<TrialResult> {
  const started = performance.now()
  const random = seeded(options.seed)
  const prefix = `checker${process.pid}-${trials++}`
  const { redis, inject, spares } = await fault.prepare(t)
  const mutations = [fault.mutation, options.mutation].filter((mutation) => mutation !== undefined)
  const nodes = Array.from(
    { length: options.nodes ?? 3 },
    () => new NodeProcess({ redis, prefix, mutations, times: TIMES })
  )
  t.teardown(() => Promise.all(nodes.map((node) => node.end('SIGKILL'))))
  await Promise.all(nodes.map((node) => node.start()))
  const channels = Array.from({ length: options.channels }, (_, n) => `ch/${n}`)
  const ports = () => nodes.map(({ port }) => port)
  const { slowReaders, row } = fault
  const narrow = slowReaders === undefined ? [] : await Promise.all(nodes.map(({ port }) => TcpProxy.start(t, port)))
  for (const proxy of narrow) proxy.bytesPerSecond = slowReaders
  const { protocol = 'sockets' } = options
  const clients = Array.from({ length: options.clients }, (_, n): TrialClient => {
    const speaks = protocol === 'both' ? (n % 2 === 1 ? 'channels' : 'sockets') : protocol
    const isSlow = narrow.length > 0 && n % 3 === 0
    const perClient = isSlow ? 1 : Math.min(options.perClient ?? 5, channels.length)
    const own = Array.from({ length: perClient }, (_, k) => channels[(n + k * 7) % channels.length] as string)
    const through = isSlow ? () => narrow.map(({ port }) => port) : ports
    const subscriber = { name: `client-${n}`, channels: [...new Set(own)], ports: through, random }
    return speaks === 'sockets' ? new Subscriber(subscriber) : new ChannelSubscriber(subscriber, speaks)
  })
  t.teardown(() => {
    for (const client of clients) client.stop()
  })
  await until(() => clients.every((client) => client.isSettled))
  const publisher = new Publisher({ channels, rate: options.rate, ports, random, tag: `${options.seed}`, row })
  const others: Publish[] = []
  const published = (publish: Publish) => void others.push(publish)
  const end = performance.now() + WARM_UP + options.seconds * 1000
  const pause = async (milliseconds: number) => {
    await sleep(Math.max(0, Math.min(milliseconds, end - performance.now())))
    return performance.now() < end
  }
  await pause(WARM_UP)
  await inject({ nodes, clients, random, prefix, channels, published, pause })
  for (const proxy of narrow) proxy.bytesPerSecond = undefined
  await publisher.stop(PATIENCE)
  const half = (options.settleTimeout ?? SETTLE_TIMEOUT) / 2
  let finals = await readFinals(redis, prefix, channels)
  let unsettled = await settle(clients, finals, half)
  if (unsettled.length > 0) {
    // An audit may have found since then that Redis went back to what it was before: the epoch is another one now.
    finals = await readFinals(redis, prefix, channels)
    unsettled = await settle(clients, finals, half)
  }
  for (const client of clients) client.stop()
  const disobeyed = await disconnectEverywhere(t, nodes, options.settleTimeout ?? SETTLE_TIMEOUT)
  const history: History = { clients, publishes: [...publisher.publishes, ...others], finals }
  const { violations, figures, gaps: gapsOf } = check(history)
  const more = [
    ...unsettled,
    ...disobeyed,
    ...nodes.flatMap(({ faults }) => faults.map((message) => ({ rule: 'node' as const, message }))),
    ...(fault.lossless && figures.gapsDeclared > 0
      ? [{ rule: 'gap' as const, message: `${figures.gapsDeclared} gaps were declared, and nothing was lost` }]
      : []),
    ...channels
      .filter((channel) => spares?.(channel) && gapsOf.has(channel))
      .map((channel) => ({ rule: 'gap' as const, message: `${gapsOf.get(channel)} in ${channel}, which lost nothing` }))
  ]
  const gaps = clients.flatMap((client) => client.gaps)
  return {
    fault: fault.name,
    protocol,
    seconds: Math.round((performance.now() - started) / 100) / 10,
    figures: { ...figures, retried: publisher.retried, disconnects: gaps.length },
    recoveryGap: percentiles(gaps),
    violations: [...violations, ...more]
  }
}

/** Waits until every client has come to where Redis is. What doesn't is the checker's to find. */
async function settle(clients: readonly TrialClient[], finals: readonly Final[], timeout: number) {
  const deadline = performance.now() + timeout
  const isDone = (client: TrialClient) =>
    client.isSettled &&
    finals.every(({ channel, offset, epoch }) => {
      const position = client.positionOf(channel)
      return !client.channels.includes(channel) || (position?.offset === offset && position.epoch === epoch)
    })
  await until(() => clients.every(isDone) || performance.now() > deadline)
  const late = clients.filter((client) => !isDone(client))
  return late.map(({ name, isSettled }) => ({
    rule: 'unsettled' as const,
    message: `${name} was not at rest ${timeout / 1000} s later (${isSettled ? 'behind' : 'not subscribed'})`
  }))
}

/** Each node is asked to disconnect a user who is connected to all of them. */
async function disconnectEverywhere(t: Test, nodes: readonly NodeProcess[], timeout: number) {
  const deadline = performance.now() + timeout
  const isLate = () => performance.now() > deadline
  const random = () => 0
  const asked = nodes.map((by, n) => {
    const user = `asked-${n}`
    const clients = nodes.map((on) => ({
      on,
      client: new Subscriber({ name: user, user, channels: [], ports: () => [on.port], random })
    }))
    t.teardown(() => {
      for (const { client } of clients) client.stop()
    })
    return { by, user, clients }
  })
  await until(() => asked.every(({ clients }) => clients.every(({ client }) => client.isOpen)) || isLate())
  const missed = await Promise.all(
    asked.map(async ({ by, user, clients }) => {
      await until(async () => (await isDisconnected(by.url, user)) || isLate())
      await until(() => clients.every(({ client }) => client.closes.includes(FORBIDDEN)) || isLate())
      return clients
        .filter(({ client }) => !client.closes.includes(FORBIDDEN))
        .map(({ on }) => `node ${nodes.indexOf(by)} disconnected ${user}, and node ${nodes.indexOf(on)} did not`)
    })
  )
  for (const { clients } of asked) for (const { client } of clients) client.stop()
  return missed.flat().map((message) => ({ rule: 'disconnect' as const, message }))
}

async function isDisconnected(url: string, user: string): Promise<boolean> {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(`${url}/disconnect`, { method: 'POST', headers, body: JSON.stringify({ user }) })
  return response.ok
}

/** What Redis has of the channels. */
export async function readFinals(
  redis: ServerSettings['redis'],
  prefix: string,
  channels: readonly string[]
): Promise<Final[]> {
  const { Cluster, Redis } = await import('ioredis')
  const broker = new RedisBroker(
    {
      redis:
        typeof redis === 'object' && 'cluster' in redis
          ? new Cluster([...redis.cluster], { lazyConnect: true, shardedSubscribers: true })
          : redis,
      prefix
    },
    Redis
  )
  const silent = { publication() {}, presence() {}, dropped() {}, control() {}, state() {}, audit() {} }
  try {
    await broker.start(silent)
    return await Promise.all(
      channels.map(async (channel) => {
        const { position, publications } = await broker.history(channel, { limit: HISTORY.size })
        const entries = publications.map(({ offset, data }) => {
          const parsed = JSON.parse(data.toString())
          return { offset, id: parsed.id as number, hash: hashOf(parsed) }
        })
        return { channel, ...position, entries }
      })
    )
  } finally {
    await broker.close()
  }
}

function percentiles(values: readonly number[]): TrialResult['recoveryGap'] {
  if (values.length === 0) return null
  const sorted = [...values].sort((a, b) => a - b)
  const at = (share: number) =>
    Math.round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] as number)
  return { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) }
}

export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
