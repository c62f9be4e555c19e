const TIMEOUT = 5_000

/** A worker from the view of its primary process, or the primary process from the view of a worker. */
export interface Port {
  send?(message: object, callback: (error: Error | null) => void): boolean
  on(event: 'message', listener: (message: unknown) => void): unknown
}

interface PeerMessage {
  readonly peer: 'question' | 'answer'
  readonly id: number
  readonly body: unknown
}

/** Questions and answers between a worker and its primary process, over the channel of Node's cluster module. */
export class Peer<Question, Answer> {
  readonly #port: Port
  readonly #waiting = new Map<number, (answer: Answer | undefined) => void>()
  #lastId = 0

  /** @param answer Answers the other side's questions. */
  constructor(port: Port, answer: (question: unknown) => unknown) {
    this.#port = port
    port.on('message', (message) => {
      if (!isEnvelope(message)) return
      const { peer, id, body } = message
      if (peer === 'question') void this.#reply(id, answer(body))
      else this.#settle(id, body as Answer)
    })
  }

  /** Resolves with undefined if no answer arrives: the other side has ended, or hangs. */
  ask(question: Question): Promise<Answer | undefined> {
    return new Promise((resolve) => {
      const id = ++this.#lastId
      const timer = setTimeout(() => this.#settle(id, undefined), TIMEOUT)
      this.#waiting.set(id, (answer) => {
        clearTimeout(timer)
        resolve(answer)
      })
      this.#send({ peer: 'question', id, body: question }, () => this.#settle(id, undefined))
    })
  }

  async #reply(id: number, answer: unknown): Promise<void> {
    const body = await answer
    // If the other side has ended, it needs no answer.
    this.#send({ peer: 'answer', id, body }, () => undefined)
  }

  #send(envelope: PeerMessage, failed: () => void): void {
    const sent = this.#port.send?.(envelope, (error) => {
      if (error !== null) failed()
    })
    if (sent === undefined) failed()
  }

  #settle(id: number, answer: Answer | undefined): void {
    this.#waiting.get(id)?.(answer)
    this.#waiting.delete(id)
  }
}

function isEnvelope(message: unknown): message is PeerMessage {
  return typeof message === 'object' && message !== null && 'peer' in message
}
