import type { Position } from '../../protocol/position.ts'

/** A publication that was seen: its position, and when Redis took it (milliseconds by Redis's clock). */
export interface StreamMark extends Position {
  readonly at: number
}

/** What a message says of its publication: when Redis took it, and when it took the one before. */
export interface StreamLink {
  readonly at: number
  readonly previous: number
}

/** Nothing was seen. */
export const NOTHING: StreamMark = { epoch: '', offset: 0, at: 0 }

/**
 * What to do with a publication: pass it on; or it names another payload than one that was seen, or follows another.
 * Then history was rolled back: none is passed on, and the first is a reason to ask for a new epoch.
 */
export type Sighting = 'sound' | 'evidence' | 'doubted'

/**
 * One channel's newest publication as this node has seen it. Redis may go back to an earlier state without a sign of
 * it: a replica that lagged is promoted, keys are deleted or restored. Then the counter hands out the same offsets
 * again. Scripts compare what they find with `mark`; messages are compared here.
 */
export class RedisWitness {
  #epoch = ''
  /** The epoch before. What it still brings comes too late. */
  #former: string | undefined
  #offset = 0
  #at = 0
  #isDoubted = false
  #isAsked = false

  /** For the scripts. One that is ahead of every history has the epoch ended. */
  get mark(): StreamMark {
    return { epoch: this.#epoch, offset: this.#isDoubted ? Number.MAX_SAFE_INTEGER : this.#offset, at: this.#at }
  }

  saw({ offset, epoch }: Position, { at, previous }: StreamLink): Sighting {
    if (epoch === this.#former) return 'doubted'
    if (epoch !== this.#epoch) {
      this.#take(epoch, offset, at)
      return 'sound'
    }
    if (!this.#isDoubted && !this.#contradicts(offset, at, previous)) {
      if (offset === this.#offset + 1) this.#take(epoch, offset, at)
      return 'sound'
    }
    this.#isDoubted = true
    if (this.#isAsked) return 'doubted'
    this.#isAsked = true
    return 'evidence'
  }

  /** Redis was asked with `asked` and answered with `found`. `isChecked`: it looked for the publication in history. */
  learned(asked: StreamMark, found: StreamMark, isChecked: boolean): void {
    // Messages of a newer epoch may have overtaken the answer.
    if (asked.epoch !== this.#epoch) return
    if (found.epoch !== this.#epoch || (isChecked && found.offset > this.#offset)) {
      this.#take(found.epoch, found.offset, found.at)
    }
  }

  /** Redis was asked and has answered or failed: whoever sees evidence from now on asks again. */
  answered(): void {
    this.#isAsked = false
  }

  /**
   * A publication that comes again is older than the newest or equal to it. What follows the newest names it. Past a
   * gap nothing is known until history is read.
   */
  #contradicts(offset: number, at: number, previous: number): boolean {
    if (offset === this.#offset + 1) return previous !== this.#at
    if (offset === this.#offset) return at !== this.#at
    return offset < this.#offset && at > this.#at
  }

  #take(epoch: string, offset: number, at: number): void {
    if (epoch !== this.#epoch && this.#epoch !== '') this.#former = this.#epoch
    this.#epoch = epoch
    this.#offset = offset
    this.#at = at
    this.#isDoubted = false
  }
}
