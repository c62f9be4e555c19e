/** Commands of a client, as one request brought them. */
export interface Letter {
  readonly data: Buffer
  readonly isBinary: boolean
}

export interface MailboxLimits {
  readonly maxQueue: number
  readonly maxPayload: number
}

/**
 * Commands that wait while the session takes none. A WebSocket is not read meanwhile, so its peer has to wait. A request
 * has arrived already, so it waits here, or is refused.
 */
export class Mailbox {
  readonly #limits: MailboxLimits
  readonly #letters: Letter[] = []
  #bytes = 0

  constructor(limits: MailboxLimits) {
    this.#limits = limits
  }

  get length(): number {
    return this.#letters.length
  }

  /** False if too many letters, or too many bytes, wait already. */
  add(letter: Letter): boolean {
    const { maxQueue, maxPayload } = this.#limits
    if (this.#letters.length >= maxQueue || this.#bytes + letter.data.length > maxPayload) return false
    this.#letters.push(letter)
    this.#bytes += letter.data.length
    return true
  }

  /** Removes and returns the oldest letter. */
  take(): Letter | undefined {
    const letter = this.#letters.shift()
    this.#bytes -= letter?.data.length ?? 0
    return letter
  }
}
