import type { Publication } from '../broker/broker.ts'
import { unpooled } from '../broker/unpooled.ts'
import { fossilDelta } from '../protocol/fossil-delta.ts'
import type { StreamCursor } from './cursor.ts'
import { type Exceptions, type Part, partOf, type Round } from './round.ts'

/** Encodes a publication as a delta to the one before it. */
type EncodeDelta = (publication: Publication, delta: Buffer) => Buffer

/** A publication of this turn. */
interface Link {
  /** The frame with the delta. Undefined if there is no publication before, or if the delta would not be smaller. */
  readonly frame: Buffer | undefined
  /** How many bytes smaller that frame is than the whole publication. */
  readonly saved: number
}

// Bytes by which a delta must be smaller than its publication. A frame with a delta has `"delta":true` more.
const MARGIN = 24

/**
 * Makes the deltas of a feed: one for each publication, for all subscribers that have received the publication before
 * it. The others receive the publication whole, and have it then. So a subscriber needs one bit (`hasBase`).
 *
 * Only the data of the last publication are kept, and only while the feed has live subscribers.
 */
export class DeltaChain {
  readonly #encode: EncodeDelta
  #last: Buffer | undefined
  /** This turn's publications, by the indexes of their frames. */
  #links: Link[] = []

  constructor(encode: EncodeDelta) {
    this.#encode = encode
  }

  /** Adds the publication whose frame, with the whole data, has the index `index`. */
  add(index: number, whole: Buffer, publication: Publication): void {
    const { data } = publication
    const delta = this.#last && fossilDelta(this.#last, data, MARGIN)
    const frame = delta && this.#encode(publication, delta)
    // JSON may write a delta with more escapes than the data.
    const saved = frame === undefined ? 0 : whole.length - frame.length
    this.#links[index] = saved > 0 ? { frame, saved } : WHOLE
    this.#last = unpooled(data)
  }

  /** The next publication is whole for all subscribers. */
  forget(): void {
    this.#last = undefined
  }

  /** The round of this turn. */
  take(frames: readonly Buffer[], exceptions: Exceptions | undefined): Round {
    const links = this.#links
    this.#links = []
    return new DeltaRound(frames, links, exceptions)
  }
}

const WHOLE: Link = { frame: undefined, saved: 0 }

interface DeltaPart extends Part {
  readonly saved: number
  /** Whether the subscriber has the last publication of the round afterwards. */
  readonly hasBase: boolean
}

class DeltaRound implements Round {
  saved = 0
  readonly #frames: readonly Buffer[]
  readonly #links: readonly (Link | undefined)[]
  readonly #exceptions: Exceptions | undefined
  /** The part for subscribers that have the publication before the round, and for those that do not. */
  #forBased: DeltaPart | undefined
  #forOthers: DeltaPart | undefined

  constructor(frames: readonly Buffer[], links: readonly (Link | undefined)[], exceptions: Exceptions | undefined) {
    this.#frames = frames
    this.#links = links
    this.#exceptions = exceptions
  }

  partFor(cursor: StreamCursor): Part | undefined {
    const part = this.#choose(cursor)
    cursor.hasBase = part.hasBase
    this.saved += part.saved
    return part.count === 0 ? undefined : part
  }

  #choose({ hasBase, subscriber: { outbox } }: StreamCursor): DeltaPart {
    const excepted = this.#exceptions?.get(outbox)
    // A chunk for a slow reader may be dropped later. So none of its publications is needed for another one.
    if (outbox.lagging) return this.#build(false, excepted, true)
    if (excepted !== undefined) return this.#build(hasBase, excepted, false)
    if (hasBase) {
      this.#forBased ??= this.#build(true, undefined, false)
      return this.#forBased
    }
    this.#forOthers ??= this.#build(false, undefined, false)
    return this.#forOthers
  }

  #build(hadBase: boolean, excepted: ReadonlySet<number> | undefined, isLagging: boolean): DeltaPart {
    const chosen: Buffer[] = []
    let hasBase = hadBase
    let saved = 0
    for (const [index, whole] of this.#frames.entries()) {
      const isExcepted = excepted?.has(index) === true
      const link = this.#links[index]
      if (link?.frame !== undefined && hasBase && !isExcepted) {
        chosen.push(link.frame)
        saved += link.saved
      } else if (!isExcepted) chosen.push(whole)
      // A join or a leave is no publication.
      if (link !== undefined) hasBase = !isExcepted && !isLagging
    }
    const part = chosen.length === 0 ? NOTHING : partOf(chosen)
    return { ...part, saved, hasBase }
  }
}

const NOTHING: Part = { chunk: Buffer.alloc(0), count: 0 }
