import { EventEmitter, once } from 'node:events'
import type {
  HistoryPage,
  HistoryPolicy,
  HistoryQuery,
  PresenceEntry,
  PresenceEventKind,
  Publication
} from '../../lib/broker/broker.ts'
import { MemoryBroker } from '../../lib/broker/memory/memory-broker.ts'
import { Turn } from '../../lib/connection/turn.ts'
import { socketFormat } from '../../lib/hub/feed.ts'
import { Hub } from '../../lib/hub/hub.ts'
import type { SubscribeResult } from '../../lib/hub/subscribe-options.ts'
import { DEFAULTS } from '../../lib/options/options.ts'
import type { Position } from '../../lib/protocol/position.ts'
import { Limiter } from '../../lib/timing/limiter.ts'
import { TimerWheel } from '../../lib/timing/timer-wheel.ts'
import { FakeClock } from '../support/clock.ts'
import { FakeConnection, type FakeConnectionOptions } from '../support/fake-connection.ts'
import { idle } from '../support/idle.ts'

export { FakeClock }

/** A memory broker whose deliveries can be lost, whose history can be held back, and which can be away. */
export class FaultyBroker extends MemoryBroker {
  readonly calls: string[] = []
  readonly #events = new EventEmitter()
  /** Publications that the node never hears of. */
  lost = (_publication: Publication) => false
  /** The node is asked for no audit, whatever is done to a history. */
  silent = false
  away = false
  #held: (() => void)[] | undefined

  override subscribe(channel: string): Promise<void> {
    this.#note(`subscribe ${channel}`)
    return this.away ? Promise.reject(new Error('away')) : super.subscribe(channel)
  }

  override unsubscribe(channel: string): Promise<void> {
    this.#note(`unsubscribe ${channel}`)
    return this.away ? Promise.reject(new Error('away')) : super.unsubscribe(channel)
  }

  override addPresence(channel: string, entry: PresenceEntry, ttl: number): Promise<void> {
    this.#note(`add ${channel}`)
    return super.addPresence(channel, entry, ttl)
  }

  override publishPresence(channel: string, kind: PresenceEventKind, info: Buffer): Promise<void> {
    this.#note(`${kind} ${channel}`)
    return super.publishPresence(channel, kind, info)
  }

  override async history(channel: string, query: HistoryQuery): Promise<HistoryPage> {
    this.#note(query.since === undefined ? 'position' : `history ${query.since.offset}`)
    if (this.away) throw new Error('away')
    const page = await super.history(channel, query)
    if (this.#held !== undefined) await new Promise<void>((resolve) => this.#held?.push(resolve))
    return page
  }

  /** Answers to history wait, with what was there when they were asked, until the function given back is called. */
  holdHistory(): () => void {
    this.#held = []
    return () => {
      const held = this.#held ?? []
      this.#held = undefined
      for (const release of held) release()
    }
  }

  /** Resolves once that call has been made. */
  async called(call: string): Promise<void> {
    while (!this.calls.includes(call)) await once(this.#events, 'call')
  }

  #note(call: string): void {
    this.calls.push(call)
    this.#events.emit('call')
  }
}

/** A subscriber that notes what it was sent. */
export class Reader extends FakeConnection {
  readonly #hub: Hub

  constructor(turn: Turn, hub: Hub, buffered = { soft: 1024, hard: 1_000_000 }, more: FakeConnectionOptions = {}) {
    super({ turn, limits: { ...DEFAULTS.limits, buffered }, ...more })
    this.maxSubscriptions = 3
    this.#hub = hub
  }

  override caughtUp(): void {
    this.#hub.caughtUp(this)
  }

  /** Channels of which publications were lost to it, and where it goes on. */
  get holes(): { channel: string; position: Position }[] {
    const calls = this.calls.filter(([call]) => call === 'insufficientState') as [string, string, Position][]
    return calls.map(([, channel, position]) => ({ channel, position }))
  }

  /** How many writes reached it. */
  get writes(): number {
    return this.chunks.length
  }

  /** What it was sent, parsed. */
  get messages(): { channel: string; data: unknown; offset?: number; epoch?: string; notice?: unknown }[] {
    return this.texts.map((text) => JSON.parse(text))
  }

  get data(): unknown[] {
    return this.messages.map(({ data }) => data)
  }

  get offsets(): (number | undefined)[] {
    return this.messages.map(({ offset }) => offset)
  }
}

export interface Rig {
  readonly broker: FaultyBroker
  readonly hub: Hub
  readonly clock: FakeClock
  readonly failures: string[]
  readonly repairs: boolean[]
  readonly lags: number[]
  readonly recoveries: boolean[]
  readonly unpositioned: string[]
  reader(limits?: { soft: number; hard: number }, more?: FakeConnectionOptions): Reader
  /** The readers that are connections of this node, by their ids. */
  readonly connections: Map<string, Reader>
  subscribe(reader: Reader, channel: string, since?: Position): Promise<SubscribeResult>
  /** Publishes numbers, one after another. */
  publish(channel: string, ...values: unknown[]): Promise<void>
  /** Resolves once what was sent is written, and what follows from that is done. */
  written(): Promise<void>
}

/** A hub on a faulty broker. Channels whose name begins with `h` have history. */
export async function makeRig(
  t: { teardown(fn: () => unknown): void },
  history: HistoryPolicy = { size: 100, ttl: 60_000 },
  { isLatestOnly = false } = {}
): Promise<Rig> {
  const broker = new FaultyBroker()
  const turn = new Turn()
  const clock = new FakeClock()
  const failures: string[] = []
  const repairs: boolean[] = []
  const lags: number[] = []
  const recoveries: boolean[] = []
  const unpositioned: string[] = []
  const connections = new Map<string, Reader>()
  const hub = new Hub({
    broker,
    turn,
    wheel: new TimerWheel(clock, 50),
    limiter: new Limiter(8),
    maxPublication: 1_048_576,
    outboxOf: (connection) => connections.get(connection)?.outbox,
    traitsOf: (channel) => ({
      history: channel.startsWith('h') ? history : undefined,
      binary: channel.startsWith('bytes'),
      recover: isLatestOnly ? 'latest' : 'missed'
    }),
    failed: (stage) => failures.push(stage),
    repaired: (complete) => repairs.push(complete),
    delivered: (lag) => lags.push(lag),
    recovered: (complete) => recoveries.push(complete),
    unpositioned: (channel) => unpositioned.push(channel)
  })
  await broker.start({
    publication: (channel, publication) => {
      if (!broker.lost(publication)) hub.receive(channel, publication)
    },
    presence() {},
    dropped() {},
    state() {},
    audit: (channels) => {
      if (!broker.silent) hub.audit(channels)
    }
  })
  t.teardown(() => broker.close())
  return {
    broker,
    hub,
    clock,
    failures,
    repairs,
    lags,
    recoveries,
    unpositioned,
    connections,
    reader: (limits, more) => new Reader(turn, hub, limits, more),
    subscribe: (reader, channel, since) => hub.subscribe(reader, channel, socketFormat, since && { since }),
    async publish(channel, ...values) {
      for (const value of values) await hub.publish(channel, value, undefined)
    },
    written: idle
  }
}
