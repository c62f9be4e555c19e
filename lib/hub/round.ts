import type { Publication } from '../broker/broker.ts'
import type { Outbox } from '../connection/outbox.ts'
import type { StreamCursor } from './cursor.ts'

/** What one cursor receives of a round. */
export interface Part {
  readonly chunk: Buffer
  /** The number of frames in the chunk. */
  readonly count: number
}

/** The frames that an outbox does not receive, by their indexes. */
export type Exceptions = ReadonlyMap<Outbox, ReadonlySet<number>>

/** The frames of a turn that a feed hands out together. */
export interface Round {
  /** What a cursor receives. Undefined for nothing. */
  partFor(cursor: StreamCursor): Part | undefined
  /** How many bytes deltas have saved so far. */
  readonly saved: number
}

// A set of more frames is no whole number of 32 bits. Then each cursor with a filter gets a chunk of its own.
const MAX_SHARED = 31

/**
 * A round in which all cursors receive the same frames, except those that their filters or their connections exclude.
 * Cursors that receive the same frames share one chunk.
 */
export class PlainRound implements Round {
  readonly saved = 0
  readonly #frames: readonly Buffer[]
  readonly #exceptions: Exceptions | undefined
  /** The publications of the frames. None for a join or a leave, which no filter excludes. */
  readonly #publications: readonly (Publication | undefined)[] | undefined
  #all: Part | undefined
  /** Parts by the set of their frames, a bit for each. */
  #parts: Map<number, Part> | undefined

  constructor(
    frames: readonly Buffer[],
    exceptions: Exceptions | undefined,
    publications: readonly (Publication | undefined)[] | undefined
  ) {
    this.#frames = frames
    this.#exceptions = exceptions
    this.#publications = publications
  }

  partFor({ filter, subscriber: { outbox } }: StreamCursor): Part | undefined {
    const excepted = this.#exceptions?.get(outbox)
    if (filter === undefined && excepted === undefined) return this.#whole()
    const { length } = this.#frames
    let set = 0
    let count = 0
    for (let index = 0; index < length; index++) {
      if (excepted?.has(index)) continue
      const publication = this.#publications?.[index]
      if (filter !== undefined && publication !== undefined && !filter(publication.tags)) continue
      count++
      if (length <= MAX_SHARED) set |= 1 << index
    }
    if (count === 0) return undefined
    if (count === length) return this.#whole()
    if (length <= MAX_SHARED) return this.#shared(set)
    return partOf(
      this.#frames.filter((_, index) => {
        const publication = this.#publications?.[index]
        return !excepted?.has(index) && (publication === undefined || filter === undefined || filter(publication.tags))
      })
    )
  }

  #whole(): Part {
    this.#all ??= partOf(this.#frames)
    return this.#all
  }

  #shared(set: number): Part {
    this.#parts ??= new Map()
    let part = this.#parts.get(set)
    if (part === undefined) {
      part = partOf(this.#frames.filter((_, index) => (set & (1 << index)) !== 0))
      this.#parts.set(set, part)
    }
    return part
  }
}

/** @param frames At least one. */
export function partOf(frames: readonly Buffer[]): Part {
  return { chunk: frames.length === 1 ? (frames[0] as Buffer) : Buffer.concat(frames), count: frames.length }
}
