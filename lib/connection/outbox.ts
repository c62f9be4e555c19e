import type { Writable } from 'node:stream'
import { textFrame } from '../protocol/frame.ts'
import { laggingNotice } from '../protocol/messages.ts'
import type { Batch, Flushable, Moment, Turn } from './turn.ts'

// Bytes. More than this is written before the end of the turn: to join larger pieces saves nothing and costs memory.
const JOIN_LIMIT = 65_536

/** What the outbox needs of the stream that it writes to: a socket, or an HTTP response. */
export interface OutboxStream extends Pick<Writable, 'writable' | 'writableNeedDrain' | 'writableLength'> {
  write(chunk: Buffer): boolean
  once(event: 'drain', listener: () => void): unknown
  destroy(): unknown
}

/** What the outbox needs of its connection. */
export interface OutboxOwner {
  /** More bytes wait than the hard limit allows: the connection of this slow reader ends. */
  overflowed(): void
  /** A slow reader has read what was waiting for it. */
  caughtUp(): void
}

export interface OutboxLimits {
  readonly soft: number
  readonly hard: number
}

/**
 * The queue inside `ws`, which holds compression and Blobs, because these take time. Once it is in use, all frames go
 * through it. Otherwise they would overtake what it holds.
 */
export interface WsQueue {
  send(chunk: Buffer): void
  /** Bytes in the queue and in the stream. */
  readonly buffered: number
}

/** The batches that collect frames for this outbox and for others. */
export interface SharedBatches {
  readonly size: number
  /** Hands out the frames that were collected so far, during the turn. */
  handOut(turn: Turn): void
}

interface Delivery {
  readonly chunk: Buffer
  readonly count: number
  readonly source: object | undefined
}

/**
 * Holds what waits to be written to one connection:
 * - Frames that were sent (`send`). They are written in order, and none is dropped.
 * - Publications (`deliver`). If the reader is slow, they are dropped, the oldest first.
 *
 * The outbox writes whole frames to the raw stream. On a WebSocket, `ws` writes to the same stream, so `flush()` has to
 * be called before each write of `ws`. Otherwise the order would change.
 */
export class Outbox implements Flushable {
  readonly #stream: OutboxStream
  readonly #turn: Turn
  readonly #owner: OutboxOwner
  readonly #limits: OutboxLimits
  /** The feeds of the channels that the client is subscribed to. They collect frames for this outbox and for others. */
  feeds: SharedBatches | undefined
  /** The replies to a client of the channel protocol, while there are some. They are for this outbox alone. */
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
  wsQueue: WsQueue | undefined
  /** Makes the notice that a slow reader receives when it reads again: so many publications were dropped. */
  droppedNotice: (dropped: number) => Buffer = socketNotice

  constructor(stream: OutboxStream, turn: Turn, limits: OutboxLimits, owner: OutboxOwner) {
    this.#stream = stream
    this.#turn = turn
    this.#limits = limits
    this.#owner = owner
  }

  /** Bytes that wait here. The stream may buffer more. */
  get waiting(): number {
    return this.#chunkBytes + this.#backlogBytes
  }

  /** True while the reader is slow, and publications for it are kept back. */
  get lagging(): boolean {
    return this.#awaitingDrain
  }

  /** True within a fragmented message. Then all frames are kept back. */
  get held(): boolean {
    return this.#held
  }

  /** Queues a frame that must not be dropped. */
  send(frame: Buffer): void {
    this.#handOutBatches()
    this.#append(frame, 1)
  }

  /**
   * Queues a chunk with the frames of `count` publications. For a slow reader it keeps the chunk back, and drops the
   * oldest ones if there are too many. If nothing else can follow in this turn, the chunk is written at once: a queue
   * would only cost time.
   * @param source `withdraw` drops the chunks of one source together.
   */
  deliver(chunk: Buffer, count: number, source?: object, moment: Moment = 'during'): void {
    if (this.#awaitingDrain && !this.#closed) this.#keepBack({ chunk, count, source })
    else if (moment === 'during' || !this.#isAlone(moment)) this.#append(chunk, count)
    else this.#writeAlone(chunk, count)
  }

  /** Drops what is kept back of a source, because its subscription has ended. */
  withdraw(source: object): void {
    if (this.#backlog.length === 0) return
    this.#backlog = this.#backlog.filter((delivery) => delivery.source !== source)
    this.#backlogBytes = this.#backlog.reduce((bytes, { chunk }) => bytes + chunk.length, 0)
  }

  /** Call this before `ws` itself writes a message: writes what comes before that message, and counts the message. */
  bypass(bytes: number): void {
    this.#handOutBatches()
    this.flush()
    this.messages++
    this.bytes += bytes
    this.#checkHard()
  }

  /** Keeps all frames back until `release()`: none may be written between the fragments of a message. */
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
    // Usually there is one frame. Then the array is used again for the next.
    const chunk = chunks.length === 1 ? (chunks.pop() as Buffer) : Buffer.concat(chunks, this.#chunkBytes)
    if (chunks.length > 0) this.#chunks = []
    this.#chunkBytes = 0
    this.#write(chunk)
  }

  /** Writes all that waits, also publications for a slow reader. The close frame comes next. */
  finish(): void {
    this.#handOutBatches()
    this.flush()
    this.#writeBacklog()
  }

  /**
   * Something was lost on its way to this connection: ends the connection at once. Its client reconnects and recovers.
   */
  fail(): void {
    this.close()
    this.#stream.destroy()
  }

  /** Drops all that waits. */
  close(): void {
    this.#closed = true
    this.#chunks = []
    this.#backlog = []
    this.#chunkBytes = 0
    this.#backlogBytes = 0
  }

  /** Takes the frames that the batches have collected so far, so that what is sent next comes after them. */
  #handOutBatches(): void {
    if (!this.#turn.hasBatches) return
    if (this.replies !== undefined) this.#turn.handOut(this.replies, 'during')
    this.feeds?.handOut(this.#turn)
  }

  /** True if what is delivered at the end of a turn is all that this outbox receives in that turn. */
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
    // The peer has ended the connection, and ws has ended our side.
    if (!this.#stream.writable) return
    this.bytes += chunk.length
    if (this.wsQueue !== undefined) this.wsQueue.send(chunk)
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

  // Called before something is added. So a message larger than the limit is sent if nothing else waits.
  #checkHard(): void {
    const { wsQueue } = this
    const isSlow = this.#stream.writableNeedDrain || this.#held || wsQueue !== undefined
    if (!isSlow || this.#closed) return
    const buffered = wsQueue === undefined ? this.#stream.writableLength : wsQueue.buffered
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
    if (this.#droppedSince > 0) chunks.unshift(this.droppedNotice(this.#droppedSince))
    this.#droppedSince = 0
    for (const { count } of backlog) this.messages += count
    this.#write(Buffer.concat(chunks))
  }
}

function socketNotice(dropped: number): Buffer {
  return textFrame(laggingNotice(dropped))
}
