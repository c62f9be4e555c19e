import type { HistoryPage, HistoryPolicy, HistoryQuery, Publication } from './broker.ts'
import { isOffset } from './offset.ts'

interface Entry {
  readonly publication: Publication
  readonly at: number
}

interface Stream {
  readonly epoch: string
  offset: number
  ttl: number
  entries: Entry[]
  touchedAt: number
}

// Milliseconds. Whoever may ask for a position can make as many as there are names: they don't stay for long.
const UNUSED_TTL = 600_000

/**
 * The histories of a `MemoryBroker`: per channel the newest publications and the counter that numbers them.
 *
 * The counter outlives its publications by `positionTtl` milliseconds, so that a subscriber of a quiet channel keeps
 * its position; where nothing was ever published, by ten minutes at most. Once it is dropped, the channel starts again
 * with a new epoch.
 */
export class MemoryHistory {
  readonly #streams = new Map<string, Stream>()
  readonly #positionTtl: number
  readonly #newEpoch: () => string
  #sweeping: IterableIterator<[string, Stream]> | undefined

  constructor(positionTtl: number, newEpoch: () => string) {
    this.#positionTtl = positionTtl
    this.#newEpoch = newEpoch
  }

  /** How many channels have a counter. */
  get size(): number {
    return this.#streams.size
  }

  append(channel: string, data: Buffer, info: Buffer | undefined, policy: HistoryPolicy, now: number): Publication {
    const stream = this.#stream(channel, now)
    const publication: Publication = { offset: ++stream.offset, epoch: stream.epoch, data, info }
    stream.ttl = policy.ttl
    stream.entries.push({ publication, at: now })
    dropOld(stream, now, policy.size)
    return publication
  }

  page(channel: string, { since, limit, maxBytes, reverse = false }: HistoryQuery, now: number): HistoryPage {
    const stream = this.#stream(channel, now)
    dropOld(stream, now, Number.POSITIVE_INFINITY)
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
    const publications = found.map((entry) => entry.publication)
    return { publications: maxBytes === undefined ? publications : firstOf(publications, maxBytes), position }
  }

  remove(channel: string): void {
    this.#streams.delete(channel)
  }

  /** Looks at up to `budget` channels, going on where the last call stopped; channels that `isHeld` names stay. */
  sweep(now: number, budget: number, isHeld: (channel: string) => boolean): void {
    this.#sweeping ??= this.#streams.entries()
    for (let looked = 0; looked < budget; looked++) {
      const next = this.#sweeping.next()
      if (next.done) {
        this.#sweeping = undefined
        return
      }
      const [channel, stream] = next.value
      dropOld(stream, now, Number.POSITIVE_INFINITY)
      if (this.#isOver(stream, now) && !isHeld(channel)) this.#streams.delete(channel)
    }
  }

  #stream(channel: string, now: number): Stream {
    const found = this.#streams.get(channel)
    if (found) {
      found.touchedAt = now
      return found
    }
    const stream = { epoch: this.#newEpoch(), offset: 0, ttl: 0, entries: [], touchedAt: now }
    this.#streams.set(channel, stream)
    return stream
  }

  #isOver(stream: Stream, now: number): boolean {
    const ttl = stream.offset === 0 ? Math.min(this.#positionTtl, UNUSED_TTL) : this.#positionTtl
    return stream.entries.length === 0 && stream.touchedAt + ttl <= now
  }
}

function dropOld({ entries, ttl }: Stream, now: number, size: number): void {
  let drop = Math.max(0, entries.length - size)
  while (drop < entries.length && (entries[drop] as Entry).at + ttl <= now) drop++
  if (drop > 0) entries.splice(0, drop)
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
