import type { Outbox } from '../connection/outbox.ts'
import type { Batch, Turn } from '../connection/turn.ts'
import type { Message } from '../protocol/framing.ts'

// Replies of more than so many bytes or characters are not joined with later ones.
const MAX_JOINED = 16_384

/** What a batch needs of its session. */
export interface BatchSession {
  readonly outbox: Pick<Outbox, 'replies'>
  /** Sends the replies as one message. The next reply begins a new batch. */
  sendBatch(replies: readonly Message[]): void
}

/**
 * The replies to one client in one turn of the event loop. They leave in one frame. Large replies leave in several
 * frames: the outbox checks its limit before each frame, so one very large frame would pass the limit.
 */
export class ReplyBatch implements Batch {
  readonly #session: BatchSession
  readonly #replies: Message[] = []
  #length = 0

  constructor(turn: Turn, session: BatchSession) {
    this.#session = session
    session.outbox.replies = this
    turn.addBatch(this)
  }

  get isPrivate(): boolean {
    return true
  }

  add(reply: Message): void {
    this.#replies.push(reply)
    this.#length += reply.length
    if (this.#length >= MAX_JOINED) this.handOut()
  }

  /** Sends the replies. A second call sends nothing. */
  handOut(): void {
    if (this.#replies.length === 0) return
    this.#session.outbox.replies = undefined
    this.#session.sendBatch(this.#replies.splice(0))
  }
}
