import type { Tags } from '../../protocol/tags.ts'
import type { BrokerPublishOptions, HistoryPage, HistoryPolicy, HistoryQuery, Publication } from '../broker.ts'
import { isOffset } from '../offset.ts'
import { unpooled } from '../unpooled.ts'
import { withRest } from '../with-rest.ts'

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

// Milliseconds. A client that may ask for positions can create any number of them, one for each channel name. So
// positions without a publication are dropped soon.
const UNUSED_TTL = 600_000
// Bytes that Node takes for a publication and for a counter in addition to their texts, as measured on Node 20.
const PUBLICATION_COST = 512
const COUNTER_COST = 384
const TAGS_COST = 256
const TAG_COST = 96

/**
 * The histories of a `MemoryBroker`: per channel, the newest publications and the counter that numbers them.
 *
 * A counter without publications is dropped `positionTtl` milliseconds after its last use, so that a subscriber of a
 * quiet channel keeps its position. If nothing was ever published, it is dropped after ten minutes at most. Afterwards
 * the channel starts again with a new epoch.
 */
export class MemoryHistory {
  /** All channels that have a counter, the least recently used first. */
  readonly #streams = new Map<string, Stream>()
  /** The channels among them that hold publications, also the least recently used first. */
  readonly #nonEmpty = new Map<string, Stream>()
  readonly #positionTtl: number
  readonly #newEpoch: () => string
  #bytes = 0
  #sweeping: IterableIterator<[string, Stream]> | undefined
  /**
   * Number of channels that this round of the sweep still visits. Without this count a round might never end, because a
   * channel that is used moves to the end.
   */
  #unswept = 0

  constructor(positionTtl: number, newEpoch: () => string) {
    this.#positionTtl = positionTtl
    this.#newEpoch = newEpoch
  }

  /** Number of channels that have a counter. */
  get size(): number {
    return this.#streams.size
  }

  /** Estimated bytes of memory that all counters and publications take. */
  get bytes(): number {
    return this.#bytes
  }

  append(
    channel: string,
    data: Buffer,
    { info, ...rest }: Pick<BrokerPublishOptions, 'info' | 'except' | 'tags' | 'binary'>,
    policy: HistoryPolicy,
    now: number
  ): Publication {
    const stream = this.#use(channel, now)
    const kept = { offset: ++stream.offset, epoch: stream.epoch, data: unpooled(data), info: info && unpooled(info) }
    const publication = withRest(kept, rest)
    stream.ttl = policy.ttl
    stream.entries.push({ publication, at: now })
    stream.dataBytes += data.length
    this.#bytes += costOf(publication)
    this.#dropOld(channel, stream, now, policy.size, policy.maxBytes)
    this.#nonEmpty.delete(channel)
    this.#nonEmpty.set(channel, stream)
    return publication
  }

  page(
    channel: string,
    { since, limit, maxBytes, reverse = false, ages = false }: HistoryQuery,
    now: number
  ): HistoryPage {
    const stream = this.#use(channel, now)
    this.#dropOld(channel, stream, now)
    if (this.#nonEmpty.delete(channel)) this.#nonEmpty.set(channel, stream)
    const position = { offset: stream.offset, epoch: stream.epoch }
    const { entries } = stream
    const [oldest] = entries
    if (limit === 0) return { publications: [], position, size: entries.length }
    if (limit < 0 || !oldest || (since && !isOffset(since.offset))) return { publications: [], position }
    // Offsets are contiguous, so an offset gives an index of the array.
    const first = oldest.publication.offset
    const before = reverse && since ? clamp(since.offset - first, entries.length) : entries.length
    const after = !reverse && since ? clamp(since.offset + 1 - first, entries.length) : 0
    const found = reverse
      ? entries.slice(Math.max(0, before - limit), before).reverse()
      : entries.slice(after, after + limit)
    const publications = found.map(({ publication, at }) => (ages ? { ...publication, age: now - at } : publication))
    return { publications: maxBytes === undefined ? publications : limitBytes(publications, maxBytes), position }
  }

  remove(channel: string): void {
    const stream = this.#streams.get(channel)
    if (stream !== undefined) this.#forget(channel, stream)
  }

  /**
   * Frees memory until at most `limit` bytes are taken. The oldest publications of the least recently used channels are
   * dropped first. Their counters stay, so that a client that asks for a dropped publication learns that it is lost.
   * Only if there are no publications left, counters are dropped too, except those of subscribed channels.
   */
  trim(limit: number, isSubscribed: (channel: string) => boolean): void {
    for (const [channel, stream] of this.#nonEmpty) {
      if (this.#bytes <= limit) return
      this.#drop(channel, stream, countToFree(stream, this.#bytes - limit))
    }
    let left = this.#streams.size
    for (const [channel, stream] of this.#streams) {
      if (this.#bytes <= limit || left-- === 0) return
      if (!isSubscribed(channel)) this.#forget(channel, stream)
      else {
        // A subscribed channel counts as recently used.
        this.#streams.delete(channel)
        this.#streams.set(channel, stream)
      }
    }
  }

  /** Visits up to `budget` channels, from where the last call stopped. Subscribed channels keep their counters. */
  sweep(now: number, budget: number, isSubscribed: (channel: string) => boolean): void {
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
      if (this.#isExpired(stream, now) && !isSubscribed(channel)) this.#forget(channel, stream)
    }
  }

  /** Returns the channel's stream, and makes it the most recently used one. */
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

  #isExpired(stream: Stream, now: number): boolean {
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

  /** Drops the `count` oldest publications of a channel. */
  #drop(channel: string, stream: Stream, count: number): void {
    if (count === 0) return
    for (const { publication } of stream.entries.splice(0, count)) {
      stream.dataBytes -= publication.data.length
      this.#bytes -= costOf(publication)
    }
    if (stream.entries.length === 0) this.#nonEmpty.delete(channel)
  }
}

function costOf({ data, info, except = '', tags }: Publication): number {
  const infoCost = info === undefined ? 0 : PUBLICATION_COST / 2 + info.length
  return PUBLICATION_COST + data.length + except.length + infoCost + (tags === undefined ? 0 : costOfTags(tags))
}

function costOfTags(tags: Tags): number {
  let cost = TAGS_COST
  for (const [key, value] of tags) cost += TAG_COST + 2 * (key.length + value.length)
  return cost
}

function counterCost(channel: string): number {
  return COUNTER_COST + 2 * channel.length
}

/** The number of oldest publications to drop so that at least `bytes` are freed. */
function countToFree({ entries }: Stream, bytes: number): number {
  let excess = bytes
  const end = entries.findIndex(({ publication }) => {
    const isEnough = excess <= 0
    excess -= costOf(publication)
    return isEnough
  })
  return end < 0 ? entries.length : end
}

/** The first publications, with at most `maxBytes` of data in all; at least one publication. */
function limitBytes(publications: readonly Publication[], maxBytes: number): readonly Publication[] {
  let bytes = 0
  const end = publications.findIndex(({ data }, at) => {
    bytes += data.length
    return bytes > maxBytes && at > 0
  })
  return end < 0 ? publications : publications.slice(0, end)
}

function clamp(index: number, length: number): number {
  return Math.min(Math.max(index, 0), length)
}
