import { ConflictError, UnavailableError, UnknownOutcomeError } from '../../errors.ts'
import type { Tags } from '../../protocol/tags.ts'
import type { HistoryPolicy, Published } from '../broker.ts'
import type { PublishReply } from './scripts.ts'

/** One message to publish. */
export interface QueuedCall {
  readonly data: Buffer
  readonly info?: Buffer
  /** The id of a connection that does not receive the message. */
  readonly except?: string
  readonly tags?: Tags
  /** The data is bytes, and not a JSON text. */
  readonly binary?: boolean
  readonly history?: HistoryPolicy
  readonly idempotencyKey?: string
  /** Milliseconds that the key is remembered. -1: `data` is a complete message that is not stored. */
  readonly keyTtl: number
}

interface PendingPublish {
  readonly message: QueuedCall
  resolve(result: Published): void
  reject(error: unknown): void
}

export interface RedisLanesOptions {
  /** Publishes the messages in their order, in one step. All have the same history policy. */
  send(channel: string, messages: readonly QueuedCall[]): Promise<readonly PublishReply[]>
  /** Maximum number of messages that wait for their answer. Further publishes reject as unavailable. */
  readonly maxPending: number
}

// Limits of one script call. A longer call would delay other clients of Redis.
const BATCH = { messages: 64, bytes: 262_144 }

/**
 * Keeps the publishes of each channel in the order of the calls. A lane is the queue of one channel. Only one command
 * of a channel is in flight at a time; the next command contains the messages that were published meanwhile. If several
 * were in flight, one that must be sent again (a slot moved, the script was flushed) could run after later ones.
 */
export class RedisLanes {
  readonly #options: RedisLanesOptions
  readonly #lanes = new Map<string, PendingPublish[]>()
  /** Channels whose lane was created in this turn. */
  readonly #newLanes: string[] = []
  #pending = 0

  constructor(options: RedisLanesOptions) {
    this.#options = options
  }

  /** True if messages of the channel are queued or in flight. Further messages must wait for them. */
  has(channel: string): boolean {
    return this.#lanes.has(channel)
  }

  publish(channel: string, message: QueuedCall): Promise<Published> {
    if (this.#pending >= this.#options.maxPending) return Promise.reject(new UnavailableError())
    this.#pending++
    return new Promise((resolve, reject) => {
      const publish = { message, resolve, reject }
      const lane = this.#lanes.get(channel)
      if (lane !== undefined) {
        lane.push(publish)
        return
      }
      this.#lanes.set(channel, [publish])
      // The publishes of one turn are sent together and arrive together, so every node writes once to each subscriber.
      // A microtask would be too early: a loop over messages that were received together publishes one in each of them.
      if (this.#newLanes.push(channel) === 1) setImmediate(() => this.flush())
    })
  }

  /** Sends the messages that were published in this turn. */
  flush(): void {
    for (const channel of this.#newLanes.splice(0)) {
      this.#sendNext(channel, this.#lanes.get(channel) as PendingPublish[])
    }
  }

  #sendNext(channel: string, lane: PendingPublish[]): void {
    const batch = lane.splice(0, batchLength(lane))
    const messages = batch.map(({ message }) => message)
    this.#options.send(channel, messages).then(
      (replies) => {
        for (let at = 0; at < batch.length; at++) settle(batch[at] as PendingPublish, replies[at] as PublishReply)
        this.#done(channel, lane, batch.length)
      },
      (error) => {
        for (const { reject } of batch) reject(error)
        this.#done(channel, lane, batch.length)
      }
    )
  }

  #done(channel: string, lane: PendingPublish[], count: number): void {
    this.#pending -= count
    if (lane.length > 0) this.#sendNext(channel, lane)
    else this.#lanes.delete(channel)
  }
}

function settle({ resolve, reject }: PendingPublish, [outcome, offset, epoch]: PublishReply): void {
  if (outcome === 2) reject(new ConflictError())
  else if (outcome === 3) reject(new UnknownOutcomeError())
  else resolve({ offset, epoch, duplicate: outcome === 1 })
}

function batchLength(lane: readonly PendingPublish[]): number {
  const [first] = lane as [PendingPublish]
  let bytes = 0
  const end = lane.findIndex(({ message }, at) => {
    bytes += message.data.length
    return at > 0 && (at >= BATCH.messages || bytes > BATCH.bytes || !isSame(message.history, first.message.history))
  })
  return end < 0 ? lane.length : end
}

function isSame(one: HistoryPolicy | undefined, other: HistoryPolicy | undefined): boolean {
  return one?.size === other?.size && one?.ttl === other?.ttl && one?.maxBytes === other?.maxBytes
}
