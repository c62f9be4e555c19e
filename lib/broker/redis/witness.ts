import type { Position } from '../../protocol/position.ts'

/** A publication that a node has seen: its position, and when Redis added it (milliseconds by Redis's clock). */
export interface StreamMark extends Position {
  readonly at: number
}

/** Times in a publication's message: when Redis added this publication, and when it added the one before. */
export interface StreamLink {
  readonly at: number
  readonly previous: number
}

/** The mark of a node that has seen no publication. */
export const NOTHING: StreamMark = { epoch: '', offset: 0, at: 0 }

/**
 * What to do with a publication:
 *
 * - `deliver`: it agrees with what this node has seen.
 * - `audit`: it contradicts what this node has seen, so history was rolled back. Drop the publication, and audit the
 *   channel, so that it gets a new epoch.
 * - `drop`: an audit was already requested, or the publication is from an epoch that has ended.
 */
export type PublicationVerdict = 'deliver' | 'audit' | 'drop'

/**
 * The newest publication of one channel that this node has seen. Redis may go back to an earlier state without notice:
 * a lagging replica is promoted, or keys are deleted or restored. Then the counter assigns the same offsets again. The
 * scripts compare their state with `mark`; messages are compared here.
 */
export class RedisWitness {
  #epoch = ''
  /** The epoch before. Its messages that still arrive are dropped. */
  #previousEpoch: string | undefined
  #offset = 0
  #at = 0
  #isRolledBack = false
  #isAuditRequested = false

  /** For the scripts. After a rollback, its offset is beyond every history, so that a script starts a new epoch. */
  get mark(): StreamMark {
    return { epoch: this.#epoch, offset: this.#isRolledBack ? Number.MAX_SAFE_INTEGER : this.#offset, at: this.#at }
  }

  /** Compares a publication with the newest one, and takes it as the newest if it follows. */
  observe({ offset, epoch }: Position, { at, previous }: StreamLink): PublicationVerdict {
    if (epoch === this.#previousEpoch) return 'drop'
    if (epoch !== this.#epoch) {
      this.#take(epoch, offset, at)
      return 'deliver'
    }
    if (!this.#isRolledBack && !this.#contradicts(offset, at, previous)) {
      if (offset === this.#offset + 1) this.#take(epoch, offset, at)
      return 'deliver'
    }
    this.#isRolledBack = true
    if (this.#isAuditRequested) return 'drop'
    this.#isAuditRequested = true
    return 'audit'
  }

  /**
   * Takes the result of a read of the channel.
   * @param asked The mark that was sent to the script.
   * @param found The position that the script returned.
   * @param isChecked The script compared the publication of `asked` with the one in history.
   */
  positionRead(asked: StreamMark, found: StreamMark, isChecked: boolean): void {
    // Messages of a newer epoch may have arrived before the answer.
    if (asked.epoch !== this.#epoch) return
    if (found.epoch !== this.#epoch || (isChecked && found.offset > this.#offset)) {
      this.#take(found.epoch, found.offset, found.at)
    }
  }

  /** A read of the channel has ended, successfully or not. The next contradiction requests an audit again. */
  readEnded(): void {
    this.#isAuditRequested = false
  }

  /**
   * The next publication must name the newest one as the one before it. A publication that is received again has the
   * same time (same offset) or an earlier time (lower offset). After a gap nothing is known until history is read.
   */
  #contradicts(offset: number, at: number, previous: number): boolean {
    if (offset === this.#offset + 1) return previous !== this.#at
    if (offset === this.#offset) return at !== this.#at
    return offset < this.#offset && at > this.#at
  }

  #take(epoch: string, offset: number, at: number): void {
    if (epoch !== this.#epoch && this.#epoch !== '') this.#previousEpoch = this.#epoch
    this.#epoch = epoch
    this.#offset = offset
    this.#at = at
    this.#isRolledBack = false
  }
}
