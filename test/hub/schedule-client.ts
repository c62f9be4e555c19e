import { Duplex } from 'node:stream'
import { Outbox } from '../../lib/connection/outbox.ts'
import type { Turn } from '../../lib/connection/turn.ts'
import type { Subscriber } from '../../lib/hub/cursor.ts'
import { type Format, socketFormat } from '../../lib/hub/feed.ts'
import type { Hub } from '../../lib/hub/hub.ts'
import type { SubscribeResult } from '../../lib/hub/subscribe-options.ts'
import { framePayloads, textFrame } from '../../lib/protocol/frame.ts'
import type { Position } from '../../lib/protocol/position.ts'
import type { TagsFilter } from '../../lib/protocol/tags-filter.ts'
import type { ClientEvent, ClientLog } from '../checker/history.ts'
import { hashOf } from '../checker/subscriber.ts'
import { applyFossil } from '../support/fossil.ts'

// Small: a handful of publications makes a reader slow, and some dozens too slow.
const LIMITS = { soft: 400, hard: 6_000 }
/** A session takes deltas. */
const deltas: Format = {
  head: (channel) => channel,
  encode: (channel, { data, ...publication }) => frameOf(channel, publication, { whole: data.toString() }),
  encodeDelta: (channel, publication, delta) => frameOf(channel, publication, { delta: delta.toString() })
}
const plain: Format = { ...socketFormat }

function frameOf(channel: string, { offset, epoch }: Position, payload: object): Buffer {
  return textFrame(JSON.stringify({ channel, ...payload, ...(offset > 0 && { offset, epoch }) }))
}

/** As a socket's handler would answer, or as a session does: with what was missed, before anything newer. */
export type Style = 'socket' | 'session'

interface Told {
  readonly subscribed?: { readonly channel: string } & SubscribeResult
  readonly ended?: string
  readonly hole?: { readonly channel: string } & Position
  readonly channel: string
  readonly data: { readonly id: number }
  /** The text of `data`, or a delta to the one before. */
  readonly whole?: string
  readonly delta?: string
  readonly offset: number
  readonly epoch: string
}

/** One connection of a client, over a stream whose reader stalls and reads when it is told to. */
class Connection implements Subscriber {
  readonly outbox: Outbox
  readonly maxSubscriptions = 10
  readonly stream: Duplex
  closed = false
  stalled = false
  readonly #hub: Hub
  readonly #style: Style
  #taken: (() => void) | undefined

  constructor(turn: Turn, hub: Hub, style: Style, read: (told: Told) => void) {
    this.#hub = hub
    this.#style = style
    const reads = (chunk: Buffer) => {
      if (this.closed) return
      for (const { payload } of framePayloads(chunk)) read(JSON.parse(payload.toString()))
    }
    this.stream = new Duplex({
      writableHighWaterMark: 1,
      read() {},
      write: (chunk: Buffer, _encoding, done) => {
        const take = () => {
          reads(chunk)
          done()
        }
        if (this.stalled) this.#taken = take
        else take()
      }
    })
    this.outbox = new Outbox(this.stream, turn, LIMITS, {
      overflowed: () => this.close(),
      caughtUp: () => hub.caughtUp(this)
    })
  }

  send(told: Partial<Told>): void {
    if (!this.closed) this.outbox.send(textFrame(JSON.stringify(told)))
  }

  insufficientState(channel: string, position: Position): void {
    // A session ends the subscription, and its client makes another; a socket is told where it goes on.
    if (this.#style === 'session') this.end(channel)
    else this.send({ hole: { channel, ...position } })
  }

  end(channel: string): void {
    this.#hub.unsubscribe(this, channel)
    this.send({ ended: channel })
  }

  reads(): void {
    this.stalled = false
    const take = this.#taken
    this.#taken = undefined
    take?.()
  }

  close(): void {
    this.closed = true
    this.outbox.close()
    this.#hub.unsubscribeAll(this)
    this.stream.destroy()
  }
}

/** A client that comes and goes, subscribes and unsubscribes, and logs what it reads as the checker wants it. */
export class ScheduleClient implements ClientLog {
  readonly name: string
  readonly events: ClientEvent[] = []
  /** What it read of channels without history: ids by channel. */
  readonly unnumbered = new Map<string, number[]>()
  readonly style: Style
  /** What it did that no client may see. */
  readonly faults: string[] = []
  /** Publications that it received as deltas. */
  deltas = 0
  readonly filter: TagsFilter | undefined
  readonly #turn: Turn
  readonly #hub: Hub
  /** The text to which the next delta of a channel refers. */
  readonly #texts = new Map<string, string>()
  readonly #positions = new Map<string, Position>()
  /** Channels that it has asked for on this connection, and what it knows of them. */
  readonly #wanted = new Map<string, 'asked' | 'in' | 'leaving'>()
  /** Its last question for each channel. */
  readonly #asks = new Map<string, object>()
  #connection: Connection | undefined

  constructor(name: string, style: Style, turn: Turn, hub: Hub, filter?: TagsFilter) {
    this.name = name
    this.style = style
    this.filter = filter
    this.#turn = turn
    this.#hub = hub
  }

  /** The connection, for whoever asks whether it is forgotten. */
  get connection(): object | undefined {
    return this.#connection
  }

  get isConnected(): boolean {
    return this.#connection !== undefined && !this.#connection.closed
  }

  /** How often the stream tells the outbox that it has drained. */
  get drainListeners(): number {
    return this.#connection?.stream.listenerCount('drain') ?? 0
  }

  connect(): void {
    if (this.isConnected) return
    this.#wanted.clear()
    this.#asks.clear()
    this.#texts.clear()
    const connection = new Connection(this.#turn, this.#hub, this.style, (told) => {
      if (this.#connection === connection) this.#read(told)
    })
    this.#connection = connection
  }

  disconnect(): void {
    if (this.isConnected) this.#connection?.close()
    this.#connection = undefined
  }

  stall(): void {
    if (this.#connection) this.#connection.stalled = true
  }

  reads(): void {
    this.#connection?.reads()
  }

  /** Subscribes, from where it is unless `afresh`; a session takes so many of what it missed with its answer. */
  subscribe(channel: string, afresh: boolean, takes: number | undefined): boolean {
    const connection = this.#connection
    if (!this.isConnected || connection === undefined || this.#wanted.has(channel)) return false
    if (afresh) this.#positions.delete(channel)
    const since = this.#positions.get(channel)
    this.#wanted.set(channel, 'asked')
    const ask = {}
    this.#asks.set(channel, ask)
    this.events.push({ type: 'asked', channel, since })
    const options = since && { since }
    // Whoever has unsubscribed meanwhile, or asked again, has no use for the answer.
    const isWanted = () => this.#asks.get(channel) === ask && this.#wanted.get(channel) === 'asked'
    const tell = (result: SubscribeResult) => isWanted() && connection.send({ subscribed: { channel, ...result } })
    const { filter } = this
    const format = filter === undefined ? deltas : plain
    const subscribing =
      this.style === 'socket'
        ? this.#hub.subscribe(connection, channel, socketFormat, options).then(tell)
        : this.#hub.prepare(connection, channel, format, since, filter).then(({ missed, begin, ...result }) => {
            // As a session does: one that was ended meanwhile is not answered.
            if (!this.#hub.isOn(connection, channel)) return
            tell(result)
            const inAnswer = missed.slice(0, takes ?? missed.length)
            for (const publication of inAnswer) {
              if (filter !== undefined && !filter(publication.tags)) continue
              connection.send({
                channel,
                data: JSON.parse(publication.data.toString()),
                offset: publication.offset,
                epoch: publication.epoch
              })
            }
            begin(inAnswer.length)
          })
    subscribing.catch(() => isWanted() && connection.send({ ended: channel }))
    return true
  }

  unsubscribe(channel: string): boolean {
    const state = this.#wanted.get(channel)
    if (!this.isConnected || state === undefined || state === 'leaving') return false
    this.#wanted.set(channel, 'leaving')
    this.#connection?.end(channel)
    return true
  }

  #read(told: Told): void {
    const { subscribed, ended, hole, channel, data, whole, delta, offset, epoch } = told
    if (whole !== undefined || delta !== undefined) {
      const text = whole ?? this.#restore(channel, delta as string)
      if (text === undefined) return
      this.#texts.set(channel, text)
      this.#publication(channel, JSON.parse(text), offset, epoch)
    } else if (subscribed) {
      this.#texts.delete(subscribed.channel)
      const { channel, recovered, offset, epoch } = subscribed
      if (this.#wanted.get(channel) === 'asked') this.#wanted.set(channel, 'in')
      if (epoch === '') return
      this.events.push({ type: 'subscribed', channel, recovered, offset, epoch, at: 0 })
      if (!recovered) this.#positions.set(channel, { offset, epoch })
    } else if (ended !== undefined) this.#wanted.delete(ended)
    else if (hole) {
      const position = { offset: hole.offset, epoch: hole.epoch }
      this.#positions.set(hole.channel, position)
      this.events.push({ type: 'hole', channel: hole.channel, ...position })
    } else if (data !== undefined) this.#publication(channel, data, offset, epoch)
  }

  /** Makes a text from the one before and a delta, as a client does. */
  #restore(channel: string, delta: string): string | undefined {
    this.deltas++
    try {
      return applyFossil(Buffer.from(this.#texts.get(channel) ?? ''), Buffer.from(delta)).toString()
    } catch (error) {
      this.faults.push(`${channel}, a delta: ${(error as Error).message}`)
      return undefined
    }
  }

  #publication(channel: string, data: Told['data'], offset: number | undefined, epoch: string): void {
    if (!this.#wanted.has(channel)) this.faults.push(`${channel} ${data.id} came after it had ended`)
    if (offset === undefined) {
      this.unnumbered.set(channel, [...(this.unnumbered.get(channel) ?? []), data.id])
      return
    }
    this.#positions.set(channel, { offset, epoch })
    this.events.push({ type: 'publication', channel, offset, epoch, id: data.id, hash: hashOf(data) })
  }
}
