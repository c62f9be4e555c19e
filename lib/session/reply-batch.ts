import type { Outbox } from '../connection/outbox.ts'
import type { Batch, Turn } from '../connection/turn.ts'

// Characters of replies that are joined.
const MAX_JOINED = 16_384

/** What a batch needs of its session. */
export interface BatchSession {
  readonly outbox: Pick<Outbox, 'replies'>
  /** Sends the replies, as one text. The next reply begins a batch of its own. */
  sendBatch(text: string): void
}

/**
 * The replies to one client of one turn. They leave in one frame, or in several if they are large: the outbox limits what
 * waits behind a frame, whatever the size of that frame.
 */
export class ReplyBatch implements Batch {
  readonly #session: BatchSession
  readonly #replies: string[] = []
  #length = 0

  constructor(turn: Turn, session: BatchSession) {
    this.#session = session
    session.outbox.replies = this
    turn.addBatch(this)
  }

  get isPrivate(): boolean {
    return true
  }

  add(text: string): void {
    this.#replies.push(text)
    this.#length += text.length
    if (this.#length >= MAX_JOINED) this.handOut()
  }

  /** Sends them, once. */
  handOut(): void {
    if (this.#replies.length === 0) return
    this.#session.outbox.replies = undefined
    this.#session.sendBatch(this.#replies.splice(0).join('\n'))
  }
}
