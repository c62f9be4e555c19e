import { failure } from './failure.ts'
import type { Link, Pending } from './link.ts'

interface Item extends Pick<Pending, 'reject'> {
  /** Sends it by a link: a plain message, or a request. */
  transmit(link: Link): void
  /** Of a message: its JSON text. */
  readonly text?: string
  readonly resolve?: () => void
  /** Given to a message that has to wait. */
  key?: string
}

// Keyed messages on their way at a time. A server's burst is 200 messages unless it was told otherwise.
const IN_FLIGHT = 32

/** What waits to be sent: messages while the client is away, and keyed messages until the server has taken them. */
export class Outgoing {
  readonly #size: number
  readonly #prefix = randomPrefix()
  #queue: Item[] = []
  #inFlight: Item[] = []
  #keys = 0
  #pause: ReturnType<typeof setTimeout> | undefined
  #link: Link | undefined

  /** @param size How many may wait. */
  constructor(size: number) {
    this.#size = size
  }

  /** The connection to send by; none while the client is away. */
  use(link: Link | undefined): void {
    if (link !== this.#link) this.#again()
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

  /** Calls `transmit` once the request can be sent. Gives the function that takes it back. */
  request(transmit: (link: Link) => void, reject: (error: unknown) => void): () => void {
    const item: Item = { transmit, reject }
    this.#add(item)
    return () => {
      this.#queue = this.#queue.filter((one) => one !== item)
    }
  }

  #add(item: Item): void {
    const waiting = this.#queue.length + this.#inFlight.length
    if (this.#link !== undefined && waiting === 0) {
      item.transmit(this.#link)
    } else if (waiting < this.#size) {
      item.key = `${this.#prefix}-${++this.#keys}`
      this.#queue.push(item)
      this.flush()
    } else item.reject(failure('queue_full', 'Too many messages wait'))
  }

  flush(): void {
    const link = this.#link
    if (link === undefined || this.#pause !== undefined) return
    while (this.#queue.length > 0 && this.#inFlight.length < IN_FLIGHT) {
      const item = this.#queue.shift() as Item
      if (item.text !== undefined && link.queued) {
        link.send(`{"key":${JSON.stringify(item.key)},"message":${item.text}}`)
        this.#inFlight.push(item)
      } else item.transmit(link)
    }
  }

  /** The server has taken a keyed message. */
  taken(key: unknown): void {
    const item = this.#inFlight.find((one) => one.key === key)
    if (item === undefined) return
    this.#inFlight = this.#inFlight.filter((one) => one !== item)
    item.resolve?.()
    this.flush()
  }

  /** The server dropped messages that came too fast: those on their way are sent once more, later. */
  slowDown(milliseconds: number): void {
    if (this.#inFlight.length === 0 || this.#pause !== undefined) return
    this.#pause = setTimeout(() => {
      this.#again()
      this.flush()
    }, milliseconds)
  }

  /** Nothing will be sent any more. */
  end(error: unknown): void {
    this.#again()
    this.#link = undefined
    for (const item of this.#queue.splice(0)) item.reject(error)
  }

  #again(): void {
    clearTimeout(this.#pause)
    this.#pause = undefined
    this.#queue = [...this.#inFlight, ...this.#queue]
    this.#inFlight = []
  }
}

/** Nobody else can guess it, if the platform has randomness that nobody can guess. */
function randomPrefix(): string {
  const bytes = globalThis.crypto?.getRandomValues(new Uint32Array(4)) ?? [Math.random(), Math.random()]
  return Array.from(bytes, (value) => value.toString(36).replace('.', '')).join('')
}
