import type { Duplex } from 'node:stream'
import { textFrame } from '../protocol/frame.ts'
import { laggingNotice } from '../protocol/messages.ts'
import type { Batch, Flushable, Moment, Turn } from './turn.ts'

// Written before the end of the turn past this: joining larger pieces saves nothing and costs memory.
const JOIN_LIMIT = 65_536

/** What the outbox needs of its socket. */
export interface OutboxOwner {
  /** More than the hard limit waits: the reader is given up. */
  overflowed(): void
  /** The reader took what waited, after having lagged. */
  caughtUp(): void
}

export interface OutboxLimits {
  readonly soft: number
  readonly hard: number
}

/** `ws`'s own queue: everything must take it once compression or a Blob, which take their time, is in it. */
export interface Detour {
  send(chunk: Buffer): void
  /** Bytes in the queue and in the stream. */
  readonly buffered: number
}

/** The batches that gather frames for an outbox and others. */
export interface SharedBatches {
  readonly size: number
  /** Hands out those that have gathered something, during the turn. */
  handOut(turn: Turn): void
}

interface Delivery {
  readonly chunk: Buffer
  readonly count: number
  readonly source: object | undefined
}

/**
 * What waits to be written to one socket: frames sent to it (`send`), which are written in order or not at all, and
 * publications (`deliver`), which are dropped, the oldest first, where the reader is slow.
 *
 * Everything goes to the raw socket as whole frames, so its order with `ws`'s own writes is kept as long as `flush()`
 * comes before each of those.
 */
export class Outbox implements Flushable {
  readonly #stream: Duplex
  readonly #turn: Turn
  readonly #owner: OutboxOwner
  readonly #limits: OutboxLimits
  /** What gathers frames for this outbox and others: the feeds of the channels that its client is subscribed to. */
  feeds: SharedBatches | undefined
  /** What is gathered for this outbox alone, while something is: the replies to a client of the channel protocol. */
  replies: Batch | undefined
  /** This turn's frames. */
  #chunks: Buffer[] = []
  #chunkBytes = 0
  /** Publications that wait for a slow reader. */
  #backlog: Delivery[] = []
  #backlogBytes = 0
  #awaitingDrain = false
  #held = false
  #closed = false
  /** Publications dropped since the last notice. */
  #droppedSince = 0
  /** Publications dropped in all. */
  dropped = 0
  /** Messages and bytes handed to the socket. */
  messages = 0
  bytes = 0
  detour: Detour | undefined
  /** What a slow reader is told once it reads again: that so many publications were dropped. */
  droppedNotice: (dropped: number) => string = laggingNotice

  constructor(stream: Duplex, turn: Turn, limits: OutboxLimits, owner: OutboxOwner) {
    this.#stream = stream
    this.#turn = turn
    this.#limits = limits
    this.#owner = owner
  }

  /** Bytes that wait here, beside those the stream buffers. */
  get waiting(): number {
    return this.#chunkBytes + this.#backlogBytes
  }

  /** True while publications are kept back for a slow reader. */
  get lagging(): boolean {
    return this.#awaitingDrain
  }

  /** True within a fragmented message, while everything is kept back. */
  get held(): boolean {
    return this.#held
  }

  /** Queues a frame that must not be dropped. */
  send(frame: Buffer): void {
    this.#handOutBatches()
    this.#append(frame, 1)
  }

  /**
   * Queues a chunk of `count` publications' frames, or keeps it back (and drops the oldest) for a slow reader. It is
   * written at once if nothing else can join it in this turn: to queue it would only cost time.
   * @param source What may be withdrawn together.
   */
  deliver(chunk: Buffer, count: number, source?: object, moment: Moment = 'during'): void {
    if (this.#awaitingDrain && !this.#closed) this.#keepBack({ chunk, count, source })
    else if (moment === 'during' || !this.#isAlone(moment)) this.#append(chunk, count)
    else this.#writeAlone(chunk, count)
  }

  /** Forgets what is kept back of a source: its subscription is over. */
  withdraw(source: object): void {
    if (this.#backlog.length === 0) return
    this.#backlog = this.#backlog.filter((delivery) => delivery.source !== source)
    this.#backlogBytes = this.#backlog.reduce((bytes, { chunk }) => bytes + chunk.length, 0)
  }

  /** Accounts for a message that is written past the outbox, after having written what stands before it. */
  bypass(bytes: number): void {
    this.#handOutBatches()
    this.flush()
    this.messages++
    this.bytes += bytes
    this.#checkHard()
  }

  /** Keeps everything back until `release()`: a fragmented message must not be interleaved. */
  hold(): void {
    this.#held = true
  }

  release(): void {
    if (!this.#held) return
    this.#held = false
    if (!this.#awaitingDrain) this.#writeBacklog()
    this.flush()
  }

  /** Writes this turn's frames. */
  flush(): void {
    const chunks = this.#chunks
    if (chunks.length === 0 || this.#held || this.#closed) return
    // One frame is the usual case: its array is kept for the next.
    const chunk = chunks.length === 1 ? (chunks.pop() as Buffer) : Buffer.concat(chunks, this.#chunkBytes)
    if (chunks.length > 0) this.#chunks = []
    this.#chunkBytes = 0
    this.#write(chunk)
  }

  /** Writes all that waits, publications for a slow reader included: what comes next is the close frame. */
  finish(): void {
    this.#handOutBatches()
    this.flush()
    this.#writeBacklog()
  }

  /** Something was lost on its way to this connection: it ends at once, and its client comes back for it. */
  fail(): void {
    this.close()
    this.#stream.destroy()
  }

  /** Forgets all that waits. */
  close(): void {
    this.#closed = true
    this.#chunks = []
    this.#backlog = []
    this.#chunkBytes = 0
    this.#backlogBytes = 0
  }

  /** Takes what was gathered so far, so that what is sent next stands behind what was published before. */
  #handOutBatches(): void {
    if (!this.#turn.hasBatches) return
    if (this.replies !== undefined) this.#turn.handOut(this.replies, 'during')
    this.feeds?.handOut(this.#turn)
  }

  /** True if what is delivered at the end of a turn is all that this outbox gets in that turn. */
  #isAlone(moment: 'end' | 'last'): boolean {
    if (this.#chunks.length > 0 || this.#held || this.replies !== undefined) return false
    return moment === 'last' || this.feeds?.size === 1
  }

  #writeAlone(chunk: Buffer, count: number): void {
    this.#checkHard()
    if (this.#closed) return
    this.messages += count
    this.#write(chunk)
  }

  #append(chunk: Buffer, count: number): void {
    this.#checkHard()
    if (this.#closed) return
    this.messages += count
    if (this.#chunks.push(chunk) === 1) this.#turn.addOutbox(this)
    this.#chunkBytes += chunk.length
    if (this.#chunkBytes >= JOIN_LIMIT) this.flush()
  }

  #write(chunk: Buffer): void {
    // The peer has ended the connection, and ws its side of it.
    if (!this.#stream.writable) return
    this.bytes += chunk.length
    if (this.detour !== undefined) this.detour.send(chunk)
    else if (this.#stream.write(chunk)) return
    if (this.#stream.writableNeedDrain && this.#stream.writableLength >= this.#limits.soft) this.#awaitDrain()
  }

  #awaitDrain(): void {
    if (this.#awaitingDrain) return
    this.#awaitingDrain = true
    // An error in a stream's listener would end the process.
    this.#stream.once('drain', () => this.#turn.attempt(() => this.#drained()))
  }

  #drained(): void {
    this.#awaitingDrain = false
    this.#writeBacklog()
    this.#owner.caughtUp()
  }

  // Before something is added: one message larger than the limit goes out where nothing else waits.
  #checkHard(): void {
    const { detour } = this
    const isSlow = this.#stream.writableNeedDrain || this.#held || detour !== undefined
    if (!isSlow || this.#closed) return
    const buffered = detour === undefined ? this.#stream.writableLength : detour.buffered
    if (buffered + this.waiting > this.#limits.hard) this.#owner.overflowed()
  }

  #keepBack(delivery: Delivery): void {
    this.#backlog.push(delivery)
    this.#backlogBytes += delivery.chunk.length
    while (this.#backlogBytes > this.#limits.soft && this.#backlog.length > 1) {
      const oldest = this.#backlog.shift() as Delivery
      this.#backlogBytes -= oldest.chunk.length
      this.#droppedSince += oldest.count
      this.dropped += oldest.count
    }
  }

  #writeBacklog(): void {
    const backlog = this.#backlog
    if (backlog.length === 0 || this.#held || this.#closed) return
    this.#backlog = []
    this.#backlogBytes = 0
    const chunks = backlog.map(({ chunk }) => chunk)
    if (this.#droppedSince > 0) chunks.unshift(textFrame(this.droppedNotice(this.#droppedSince)))
    this.#droppedSince = 0
    for (const { count } of backlog) this.messages += count
    this.#write(Buffer.concat(chunks))
  }
}
