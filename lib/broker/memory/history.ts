import type { HistoryPage, HistoryPolicy, HistoryQuery, Publication } from '../broker.ts'
import { isOffset } from '../offset.ts'

interface Entry {
  readonly publication: Publication
  readonly at: number
}

interface Stream {
  readonly epoch: string
  offset: number
  ttl: number
  readonly entries: Entry[]
  /** Bytes of data in the entries. */
  dataBytes: number
  touchedAt: number
}

// Milliseconds. Whoever may ask for a position can make as many as there are names: they don't stay for long.
const UNUSED_TTL = 600_000
// Bytes that Node takes for a publication and for a counter beside their texts, as measured on Node 20.
const PUBLICATION_COST = 512
const COUNTER_COST = 384

/**
 * The histories of a `MemoryBroker`: per channel the newest publications and the counter that numbers them.
 *
 * The counter outlives its publications by `positionTtl` milliseconds, so that a subscriber of a quiet channel keeps
 * its position; where nothing was ever published, by ten minutes at most. Once it is dropped, the channel starts again
 * with a new epoch.
 */
export class MemoryHistory {
  /** All channels that have a counter, and those of them that hold publications; the least recently used first. */
  readonly #streams = new Map<string, Stream>()
  readonly #filled = new Map<string, Stream>()
  readonly #positionTtl: number
  readonly #newEpoch: () => string
  #bytes = 0
  #sweeping: IterableIterator<[string, Stream]> | undefined
  /** Channels that the sweep has yet to look at before it begins again: those in use move to the end. */
  #unswept = 0

  constructor(positionTtl: number, newEpoch: () => string) {
    this.#positionTtl = positionTtl
    this.#newEpoch = newEpoch
  }

  /** How many channels have a counter. */
  get size(): number {
    return this.#streams.size
  }

  /** Bytes of memory that all of it takes, as far as that can be counted. */
  get bytes(): number {
    return this.#bytes
  }

  append(
    channel: string,
    data: Buffer,
    { info, except }: Pick<Publication, 'info' | 'except'>,
    policy: HistoryPolicy,
    now: number
  ): Publication {
    const stream = this.#use(channel, now)
    const kept = { offset: ++stream.offset, epoch: stream.epoch, data: owned(data), info: info && owned(info) }
    const publication = except === undefined ? kept : { ...kept, except }
    stream.ttl = policy.ttl
    stream.entries.push({ publication, at: now })
    stream.dataBytes += data.length
    this.#bytes += costOf(publication)
    this.#dropOld(channel, stream, now, policy.size, policy.maxBytes)
    this.#filled.delete(channel)
    this.#filled.set(channel, stream)
    return publication
  }

  page(
    channel: string,
    { since, limit, maxBytes, reverse = false, ages = false }: HistoryQuery,
    now: number
  ): HistoryPage {
    const stream = this.#use(channel, now)
    this.#dropOld(channel, stream, now)
    if (this.#filled.delete(channel)) this.#filled.set(channel, stream)
    const position = { offset: stream.offset, epoch: stream.epoch }
    const { entries } = stream
    const [oldest] = entries
    if (limit <= 0 || !oldest || (since && !isOffset(since.offset))) return { publications: [], position }
    // Offsets are contiguous, so an offset is a place in the array.
    const first = oldest.publication.offset
    const before = reverse && since ? clamp(since.offset - first, entries.length) : entries.length
    const after = !reverse && since ? clamp(since.offset + 1 - first, entries.length) : 0
    const found = reverse
      ? entries.slice(Math.max(0, before - limit), before).reverse()
      : entries.slice(after, after + limit)
    const publications = found.map(({ publication, at }) => (ages ? { ...publication, age: now - at } : publication))
    return { publications: maxBytes === undefined ? publications : firstOf(publications, maxBytes), position }
  }

  remove(channel: string): void {
    const stream = this.#streams.get(channel)
    if (stream !== undefined) this.#forget(channel, stream)
  }

  /**
   * Makes room until all of it takes so many bytes at most. The least recently used channels give first, each its
   * oldest publications: their counters stay, so whoever asks for what is gone learns that it is. Only if there are no
   * publications left at all, counters go too, but for those of channels that `isHeld` names.
   */
  trim(limit: number, isHeld: (channel: string) => boolean): void {
    for (const [channel, stream] of this.#filled) {
      if (this.#bytes <= limit) return
      this.#drop(channel, stream, countFor(stream, this.#bytes - limit))
    }
    let left = this.#streams.size
    for (const [channel, stream] of this.#streams) {
      if (this.#bytes <= limit || left-- === 0) return
      if (!isHeld(channel)) this.#forget(channel, stream)
      else {
        // It is in use, if not by a call.
        this.#streams.delete(channel)
        this.#streams.set(channel, stream)
      }
    }
  }

  /** Looks at up to `budget` channels, going on where the last call stopped; channels that `isHeld` names stay. */
  sweep(now: number, budget: number, isHeld: (channel: string) => boolean): void {
    if (this.#sweeping === undefined) {
      this.#sweeping = this.#streams.entries()
      this.#unswept = this.#streams.size
    }
    for (let looked = 0; looked < budget; looked++) {
      const next = this.#sweeping.next()
      if (next.done || this.#unswept-- === 0) {
        this.#sweeping = undefined
        return
      }
      const [channel, stream] = next.value
      this.#dropOld(channel, stream, now)
      if (this.#isOver(stream, now) && !isHeld(channel)) this.#forget(channel, stream)
    }
  }

  /** The channel's stream, which is the most recently used from here on. */
  #use(channel: string, now: number): Stream {
    let stream = this.#streams.get(channel)
    if (stream === undefined) {
      stream = { epoch: this.#newEpoch(), offset: 0, ttl: 0, entries: [], dataBytes: 0, touchedAt: now }
      this.#bytes += counterCost(channel)
    }
    stream.touchedAt = now
    this.#streams.delete(channel)
    this.#streams.set(channel, stream)
    return stream
  }

  #forget(channel: string, stream: Stream): void {
    this.#drop(channel, stream, stream.entries.length)
    this.#streams.delete(channel)
    this.#bytes -= counterCost(channel)
  }

  #isOver(stream: Stream, now: number): boolean {
    const ttl = stream.offset === 0 ? Math.min(this.#positionTtl, UNUSED_TTL) : this.#positionTtl
    return stream.entries.length === 0 && stream.touchedAt + ttl <= now
  }

  #dropOld(
    channel: string,
    stream: Stream,
    now: number,
    size = Number.POSITIVE_INFINITY,
    maxBytes = Number.POSITIVE_INFINITY
  ): void {
    const { entries, ttl } = stream
    let { dataBytes } = stream
    let count = 0
    for (const { publication, at } of entries) {
      const isTooMuch = dataBytes > maxBytes && count < entries.length - 1
      if (!isTooMuch && entries.length - count <= size && at + ttl > now) break
      dataBytes -= publication.data.length
      count++
    }
    this.#drop(channel, stream, count)
  }

  /** Drops the oldest publications of a channel, so many of them. */
  #drop(channel: string, stream: Stream, count: number): void {
    if (count === 0) return
    for (const { publication } of stream.entries.splice(0, count)) {
      stream.dataBytes -= publication.data.length
      this.#bytes -= costOf(publication)
    }
    if (stream.entries.length === 0) this.#filled.delete(channel)
  }
}

/** A small buffer is a part of Node's pool, and a publication that is kept would keep the whole of it. */
function owned(data: Buffer): Buffer {
  if (data.length === data.buffer.byteLength) return data
  const copy = Buffer.allocUnsafeSlow(data.length)
  data.copy(copy)
  return copy
}

function costOf({ data, info, except = '' }: Publication): number {
  return PUBLICATION_COST + data.length + except.length + (info === undefined ? 0 : PUBLICATION_COST / 2 + info.length)
}

function counterCost(channel: string): number {
  return COUNTER_COST + 2 * channel.length
}

/** How many of a channel's oldest publications take so many bytes. */
function countFor({ entries }: Stream, bytes: number): number {
  let excess = bytes
  const end = entries.findIndex(({ publication }) => {
    const isEnough = excess <= 0
    excess -= costOf(publication)
    return isEnough
  })
  return end < 0 ? entries.length : end
}

/** The first publications, with so many bytes of data together; one at least. */
function firstOf(publications: readonly Publication[], maxBytes: number): readonly Publication[] {
  let bytes = 0
  const end = publications.findIndex(({ data }, at) => {
    bytes += data.length
    return bytes > maxBytes && at > 0
  })
  return end < 0 ? publications : publications.slice(0, end)
}

function clamp(place: number, length: number): number {
  return Math.min(Math.max(place, 0), length)
}
