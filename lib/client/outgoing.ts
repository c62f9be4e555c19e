import { failure } from './failure.ts'
import type { Link, Pending } from './link.ts'

interface Item extends Pick<Pending, 'reject'> {
  /** Sends the item on a link, as a plain message or a request. */
  transmit(link: Link): void
  /** The JSON text of a message. */
  readonly text?: string
  readonly resolve?: () => void
  /** The key of a message that has to wait. */
  key?: string
}

// Maximum number of keyed messages without an answer. The default burst of a server is 200 messages.
const MAX_IN_FLIGHT = 32

/** The queue of the client: messages while it is offline, and keyed messages until the server has handled them. */
export class Outgoing {
  readonly #size: number
  readonly #prefix = randomPrefix()
  #queue: Item[] = []
  #inFlight: Item[] = []
  #keys = 0
  #pause: ReturnType<typeof setTimeout> | undefined
  #link: Link | undefined

  /** @param size Maximum number of messages in the queue. */
  constructor(size: number) {
    this.#size = size
  }

  /** Sets the link on which to send. Undefined while the client is offline. */
  use(link: Link | undefined): void {
    if (link !== this.#link) this.#requeue()
    this.#link = link
    this.flush()
  }

  send(text: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const transmit = (link: Link) => {
        link.send(text)
        resolve()
      }
      this.#add({ text, transmit, resolve, reject })
    })
  }

  /** Calls `transmit` once the request can be sent. Returns a function that removes the request from the queue. */
  request(transmit: (link: Link) => void, reject: (error: unknown) => void): () => void {
    const item: Item = { transmit, reject }
    this.#add(item)
    return () => {
      this.#queue = this.#queue.filter((one) => one !== item)
    }
  }

  #add(item: Item): void {
    const waiting = this.#queue.length + this.#inFlight.length
    if (this.#link && waiting === 0) {
      item.transmit(this.#link)
    } else if (waiting < this.#size) {
      item.key = `${this.#prefix}-${++this.#keys}`
      this.#queue.push(item)
      this.flush()
    } else item.reject(failure('queue_full', 'Too many messages wait'))
  }

  flush(): void {
    const link = this.#link
    if (!link || this.#pause) return
    while (this.#queue.length > 0 && this.#inFlight.length < MAX_IN_FLIGHT) {
      const item = this.#queue.shift() as Item
      if (item.text !== undefined && link.queued) {
        link.send(`{"key":${JSON.stringify(item.key)},"message":${item.text}}`)
        this.#inFlight.push(item)
      } else item.transmit(link)
    }
  }

  /** Called when the server has handled a keyed message. */
  taken(key: unknown): void {
    const item = this.#inFlight.find((one) => one.key === key)
    if (!item) return
    this.#inFlight = this.#inFlight.filter((one) => one !== item)
    item.resolve?.()
    this.flush()
  }

  /** Called if the server dropped messages because of its rate limit. Sends unanswered keyed messages again later. */
  slowDown(milliseconds: number): void {
    if (this.#inFlight.length === 0 || this.#pause) return
    this.#pause = setTimeout(() => {
      this.#requeue()
      this.flush()
    }, milliseconds)
  }

  /** Rejects all messages in the queue. Called when the client closes. */
  end(error: unknown): void {
    this.#requeue()
    this.#link = undefined
    for (const item of this.#queue.splice(0)) item.reject(error)
  }

  #requeue(): void {
    clearTimeout(this.#pause)
    this.#pause = undefined
    this.#queue = [...this.#inFlight, ...this.#queue]
    this.#inFlight = []
  }
}

/** A prefix that other clients cannot guess, if the platform has secure random numbers. */
function randomPrefix(): string {
  const bytes = globalThis.crypto?.getRandomValues(new Uint32Array(4)) ?? [Math.random(), Math.random()]
  return Array.from(bytes, (value) => value.toString(36).replace('.', '')).join('')
}
