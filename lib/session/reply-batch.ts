import type { PrivateBatch } from '../connection/outbox.ts'
import type { Turn } from '../connection/turn.ts'

// Characters of replies that are joined.
const MAX_JOINED = 16_384

/**
 * The replies to one client of one turn. They leave in one frame, or in several where they are large: the outbox's limit
 * is on what waits behind a frame, whatever the size of that.
 */
export class ReplyBatch implements PrivateBatch {
  readonly #turn: Turn
  readonly #send: (text: string) => void
  #replies: string[] = []
  #length = 0

  constructor(turn: Turn, send: (text: string) => void) {
    this.#turn = turn
    this.#send = send
  }

  add(text: string): void {
    if (this.#replies.push(text) === 1) this.#turn.addBatch(this)
    this.#length += text.length
    if (this.#length >= MAX_JOINED) this.handOut()
  }

  get isPrivate(): boolean {
    return true
  }

  get pending(): boolean {
    return this.#replies.length > 0
  }

  /** Sends them. */
  handOut(): void {
    const replies = this.#replies
    if (replies.length === 0) return
    this.#replies = []
    this.#length = 0
    this.#send(replies.join('\n'))
  }
}
