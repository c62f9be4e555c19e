import fc from 'fast-check'
import { Turn } from '../../lib/connection/turn.ts'
import { Hub } from '../../lib/hub/hub.ts'
import { compileFilter } from '../../lib/protocol/tags-filter.ts'
import { Limiter } from '../../lib/timing/limiter.ts'
import { TimerWheel } from '../../lib/timing/timer-wheel.ts'
import { check } from '../checker/check.ts'
import type { Final, Publish } from '../checker/history.ts'
import { hashOf } from '../checker/subscriber.ts'
import { FakeClock } from '../support/clock.ts'
import { idle } from '../support/idle.ts'
import { ScheduleClient } from './schedule-client.ts'
import { type Fate, PAGE, ScriptedBroker } from './scripted-broker.ts'

/*
 * Schedules: what may happen to the hub, in any order. Each step is data, so that a schedule that fails can be made
 * shorter (fast-check does) and written down.
 */
const CHANNELS = ['h/1', 'h/2', 'live'] as const
const CLIENTS = 4
const MAX_STEPS = 80

export type Step =
  | readonly ['publish', channel: number, count: number, fate: Fate]
  | readonly ['arrive' | 'work' | 'answer' | 'fail', count: number]
  | readonly ['connect' | 'disconnect' | 'stall' | 'read', client: number]
  | readonly ['subscribe', client: number, channel: number, afresh: boolean, takes: number | undefined]
  | readonly ['unsubscribe', client: number, channel: number]
  | readonly ['reset' | 'trim', channel: number, count: number]
  | readonly ['audit' | 'turn' | 'flow' | 'away' | 'back']
  | readonly ['pass', milliseconds: number]

const only = <Name extends string>(...names: Name[]) => fc.constantFrom(...names)
const channel = fc.nat(CHANNELS.length - 1)
// The last one has a filter.
const client = fc.nat(CLIENTS)
const FILTER = compileFilter({ key: 'third', cmp: 'eq', val: 'true' })
const count = fc.integer({ min: 1, max: 5 })
const fate = fc.constantFrom<Fate>('kept', 'kept', 'kept', 'kept', 'lost', 'twice')
const afresh = fc.constantFrom(false, false, false, true)
const takes = fc.constantFrom(undefined, 0, 1, 3)

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(only('publish'), channel, count, fate) },
  { weight: 6, arbitrary: fc.tuple(only('arrive'), count) },
  { weight: 7, arbitrary: fc.tuple(only('work', 'answer', 'answer', 'answer'), count) },
  { weight: 1, arbitrary: fc.tuple(only('fail'), count) },
  { weight: 6, arbitrary: fc.tuple(only('subscribe'), client, channel, afresh, takes) },
  { weight: 2, arbitrary: fc.tuple(only('unsubscribe'), client, channel) },
  { weight: 9, arbitrary: fc.tuple(only('connect', 'connect', 'stall', 'read', 'disconnect', 'disconnect'), client) },
  { weight: 1, arbitrary: fc.tuple(only('reset', 'trim'), fc.nat(1), fc.nat(6)) },
  { weight: 9, arbitrary: fc.tuple(only('turn', 'turn', 'turn', 'flow', 'flow', 'audit')) },
  { weight: 2, arbitrary: fc.tuple(only('away', 'back', 'back')) },
  { weight: 1, arbitrary: fc.tuple(only('pass'), fc.constantFrom(100, 900, 1_100)) }
)

/** Any schedule. */
export const schedules: fc.Arbitrary<Step[]> = fc.array(step, { minLength: 1, maxLength: MAX_STEPS, size: 'max' })

export interface Outcome {
  /** What went wrong. */
  readonly faults: readonly string[]
  /** What happened, a line for each step that did something. */
  readonly trace: readonly string[]
  /** The hub, and what it must have forgotten. */
  readonly hub: Hub
  readonly gone: readonly WeakRef<object>[]
  readonly delivered: number
  readonly recovered: number
  readonly gapsDeclared: number
  /** Publications that were received as deltas, and by the client with the filter. */
  readonly deltas: number
  readonly filtered: number
}

/** Plays a schedule, lets all come to rest and all leave, and judges what clients saw and what is left. */
export async function play(schedule: readonly Step[]): Promise<Outcome> {
  const world = new World()
  for (const step of schedule) await world.take(step)
  await world.settle()
  const { violations, figures } = world.judge()
  await world.leave()
  const { faults, trace, hub, gone } = world
  return { ...figures, faults: [...faults, ...violations], trace, hub, gone }
}

/**
 * A socket gets a recovery page by page, and the history may be lost between two: it is told after the first page then
 * (docs/decisions/0012).
 */
function isLaterPage(fault: string): boolean {
  const given = /^recovery: socket.* (\d+) publications before recovered: false$/.exec(fault)?.[1]
  return given !== undefined && Number(given) >= PAGE
}

class World {
  readonly hub: Hub
  readonly faults: string[] = []
  readonly trace: string[] = []
  readonly gone: WeakRef<object>[] = []
  readonly #broker = new ScriptedBroker()
  readonly #turn = new Turn()
  readonly #clock = new FakeClock()
  readonly #wheel = new TimerWheel(this.#clock, 50)
  readonly #clients: ScheduleClient[]
  readonly #filtered: ScheduleClient
  readonly #publishes: Publish[] = []
  #id = 0
  /** Redis has lost something: gaps may be declared. */
  #lossy = false

  constructor() {
    this.hub = new Hub({
      broker: this.#broker,
      turn: this.#turn,
      wheel: this.#wheel,
      limiter: new Limiter(3),
      maxPublication: 1_048_576,
      outboxOf: () => undefined,
      traitsOf: (name) => ({
        history: name.startsWith('h') ? { size: 1_000, ttl: 600_000 } : undefined,
        binary: false,
        recover: 'missed'
      }),
      failed: () => undefined,
      repaired: () => undefined,
      delivered: () => undefined,
      recovered: () => undefined,
      unpositioned: () => undefined
    })
    void this.#broker.start({
      publication: (name, publication) => this.hub.receive(name, publication),
      presence: () => undefined,
      dropped: () => undefined,
      state: () => undefined,
      audit: (names) => this.hub.audit(names)
    })
    this.#clients = Array.from({ length: CLIENTS }, (_, n) => {
      const style = n % 2 === 0 ? 'socket' : 'session'
      return new ScheduleClient(`${style}-${n}`, style, this.#turn, this.hub)
    })
    this.#filtered = new ScheduleClient('filtered', 'session', this.#turn, this.hub, FILTER)
    // Three are there from the beginning.
    for (const client of [...this.#clients.slice(0, 2), this.#filtered]) {
      client.connect()
      for (const name of CHANNELS) client.subscribe(name, false, undefined)
    }
  }

  async take(step: Step): Promise<void> {
    const happened = this.#do(step)
    if (happened !== undefined) this.trace.push(happened)
    // Promises settle between two steps, and then a tick comes; immediates wait for a turn.
    await new Promise<void>(process.nextTick)
    if (step[0] === 'turn' || step[0] === 'flow') await new Promise(setImmediate)
    for (const { name, drainListeners } of this.#everybody) {
      if (drainListeners > 1) this.faults.push(`listeners: ${name} has ${drainListeners} for drain`)
    }
  }

  /** Everything that can be asked is answered, everybody reads and subscribes to everything; then one more comes. */
  async settle(): Promise<void> {
    this.trace.push('all comes to rest')
    this.#broker.away = false
    this.#broker.prompt = true
    for (let round = 0; round < 2; round++) {
      for (let again = true; again; ) {
        this.#broker.arrive(Number.POSITIVE_INFINITY)
        this.#broker.answer(Number.POSITIVE_INFINITY)
        for (const client of this.#everybody) client.reads()
        await idle()
        this.hub.audit(CHANNELS)
        await idle()
        again = false
        for (const client of this.#everybody) {
          client.connect()
          for (const name of CHANNELS) if (client.subscribe(name, false, undefined)) again = true
        }
        await idle()
      }
      if (round === 0) for (const name of CHANNELS) this.#publish(name, 1, 'kept')
      await idle()
    }
  }

  judge() {
    const finals = CHANNELS.filter((name) => name.startsWith('h')).map((name): Final => {
      const { offset, epoch, kept } = this.#broker.stored(name)
      const entries = kept.map(({ offset, data }) => {
        const parsed = JSON.parse(data.toString())
        return { offset, id: parsed.id as number, hash: hashOf(parsed) }
      })
      return { channel: name, offset, epoch, entries }
    })
    const { violations, figures } = check({ clients: this.#clients, publishes: this.#publishes, finals })
    const faults = violations.map(({ rule, message }) => `${rule}: ${message}`).filter((fault) => !isLaterPage(fault))
    for (const { name, faults: own, unnumbered } of this.#clients) {
      faults.push(...own.map((fault) => `ended: ${name}, ${fault}`))
      for (const [channel, ids] of unnumbered) {
        const isOrdered = ids.every((id, at) => at === 0 || id > (ids[at - 1] as number))
        if (!isOrdered) faults.push(`order: ${name}, ${channel}: ${ids}`)
        if (ids.at(-1) !== this.#id) faults.push(`tail: ${name}, ${channel} ended at ${ids.at(-1)}, not ${this.#id}`)
      }
    }
    faults.push(...this.#judgeFiltered())
    if (!this.#lossy && figures.gapsDeclared > 0) faults.push(`gap: ${figures.gapsDeclared}, and nothing was lost`)
    const deltas = this.#clients.reduce((sum, client) => sum + client.deltas, 0)
    const filtered = this.#filtered.events.filter(({ type }) => type === 'publication').length
    return { violations: faults, figures: { ...figures, deltas, filtered } }
  }

  /** The client with the filter has what passes, in order, each once: all of it, if nothing was lost. */
  #judgeFiltered(): string[] {
    const { events, faults: own, unnumbered } = this.#filtered
    const faults = own.map((fault) => `ended: filtered, ${fault}`)
    for (const name of CHANNELS) {
      const ids = name.startsWith('h')
        ? events.flatMap((event) => (event.type === 'publication' && event.channel === name ? [event.id] : []))
        : (unnumbered.get(name) ?? [])
      if (ids.some((id) => id % 3 !== 0)) faults.push(`filter: ${name}: ${ids}`)
      if (this.#lossy || !name.startsWith('h')) continue
      const first = events.find((event) => event.type === 'subscribed' && event.channel === name)
      const begin = first?.type === 'subscribed' ? first.offset : 0
      const passing = this.#publishes
        .filter(({ channel, id, position }) => channel === name && id % 3 === 0 && (position?.offset ?? 0) > begin)
        .map(({ id }) => id)
      if (ids.join() !== passing.join()) faults.push(`filtered: ${name}: ${ids}, not ${passing}`)
    }
    return faults
  }

  get #everybody(): ScheduleClient[] {
    return [...this.#clients, this.#filtered]
  }

  #clientAt(index: number): ScheduleClient {
    return this.#clients[index] ?? this.#filtered
  }

  /** Everybody goes; nothing may be left of them. */
  async leave(): Promise<void> {
    for (const client of this.#everybody) this.#disconnect(client)
    await idle()
    this.#clock.advance(2_000)
    await idle()
    const left = {
      channels: this.hub.channels,
      subscriptions: this.#broker.subscriptions.size,
      deadlines: this.#wheel.size,
      timers: this.#clock.running
    }
    for (const [what, count] of Object.entries(left)) if (count > 0) this.faults.push(`leftovers: ${count} ${what}`)
  }

  #do(step: Step): string | undefined {
    switch (step[0]) {
      case 'publish':
        return this.#publish(CHANNELS[step[1]] as string, step[2], step[3])
      case 'subscribe': {
        const [, who, what, afresh, takes] = step
        const client = this.#clientAt(who)
        const name = CHANNELS[what] as string
        const isAfresh = afresh && client !== this.#filtered
        // A session's answer to a client that is away for the first time has everything in it.
        if (!client.subscribe(name, isAfresh, client.style === 'session' ? takes : undefined)) return undefined
        return `${client.name} subscribes to ${name}${isAfresh ? ' afresh' : ''}`
      }
      case 'unsubscribe': {
        const client = this.#clientAt(step[1])
        const name = CHANNELS[step[2]] as string
        return client.unsubscribe(name) ? `${client.name} unsubscribes from ${name}` : undefined
      }
      case 'connect':
      case 'disconnect':
      case 'stall':
      case 'read':
        return this.#move(step[0], this.#clientAt(step[1]))
      case 'reset':
      case 'trim':
        return this.#lose(step[0], CHANNELS[step[1]] as string, step[2])
      case 'arrive':
      case 'work':
      case 'answer':
      case 'fail':
        this.#broker[step[0]](step[1])
        break
      case 'flow':
        this.#broker.arrive(Number.POSITIVE_INFINITY)
        this.#broker.answer(Number.POSITIVE_INFINITY)
        break
      case 'audit':
        this.hub.audit(CHANNELS)
        break
      case 'away':
      case 'back':
        this.#broker.away = step[0] === 'away'
        break
      case 'pass':
        this.#clock.advance(step[1])
        break
    }
    return step.join(' ')
  }

  #publish(name: string, count: number, fate: Fate): string {
    // Nothing can tell two apart that have no position: one that is repeated is one more.
    const way = fate === 'twice' && !name.startsWith('h') ? 'kept' : fate
    const places: string[] = []
    for (let n = 0; n < count; n++) {
      const id = ++this.#id
      const { offset, epoch, data } = this.#broker.append(name, id, way)
      if (offset === 0) continue
      const hash = hashOf(JSON.parse(data.toString()))
      this.#publishes.push({ id, channel: name, hash, outcome: 'ok', position: { offset, epoch } })
      places.push(`${epoch}:${offset}`)
    }
    return `publish to ${name} (${way}) ${places.join(' ') || count}`
  }

  #move(what: 'connect' | 'disconnect' | 'stall' | 'read', client: ScheduleClient): string | undefined {
    if (client.isConnected === (what === 'connect')) return undefined
    // One that comes back goes on with everything.
    if (what === 'connect') {
      client.connect()
      for (const name of CHANNELS) client.subscribe(name, false, undefined)
    } else if (what === 'disconnect') this.#disconnect(client)
    else if (what === 'stall') client.stall()
    else client.reads()
    return `${client.name}: ${what}`
  }

  #disconnect(client: ScheduleClient): void {
    if (client.connection) this.gone.push(new WeakRef(client.connection))
    client.disconnect()
  }

  #lose(what: 'reset' | 'trim', name: string, count: number): string {
    this.#lossy = true
    this.#broker[what](name, count)
    const { epoch, offset } = this.#broker.stored(name)
    return `${what} ${name} ${count}: now ${epoch}:${offset}`
  }
}
