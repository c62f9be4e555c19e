import { ConflictError, UnavailableError, UnknownOutcomeError } from '../../errors.ts'
import type { HistoryPolicy, Published } from '../broker.ts'
import type { PublishReply } from './scripts.ts'

/** One message to publish. */
export interface QueuedCall {
  readonly data: Buffer
  readonly info?: Buffer
  /** The id of a connection that is not given it. */
  readonly except?: string
  readonly history?: HistoryPolicy
  readonly idempotencyKey?: string
  /** Milliseconds; -1 if `data` is the whole message, of which nothing is kept. */
  readonly keyTtl: number
}

interface Waiting {
  readonly message: QueuedCall
  resolve(result: Published): void
  reject(error: unknown): void
}

export interface RedisLanesOptions {
  /** Publishes the messages in their order, in one step. All are kept by the same policy. */
  send(channel: string, messages: readonly QueuedCall[]): Promise<readonly PublishReply[]>
  /** Messages that wait for their answer. Past it, publishes reject as unavailable. */
  readonly maxPending: number
}

// What one script may take: more would keep other clients of Redis waiting.
const BATCH = { messages: 64, bytes: 262_144 }

/**
 * Keeps each channel's publishes in the order of the calls: one command of a channel is under way at a time, and takes
 * along what has come meanwhile. If several were, a command that Redis has sent elsewhere (a slot moved, the script was
 * flushed) would be sent again after later ones were done.
 */
export class RedisLanes {
  readonly #options: RedisLanesOptions
  readonly #lanes = new Map<string, Waiting[]>()
  readonly #fresh: string[] = []
  #pending = 0

  constructor(options: RedisLanesOptions) {
    this.#options = options
  }

  /** True if something of the channel is under way: what is published now must wait for it. */
  has(channel: string): boolean {
    return this.#lanes.has(channel)
  }

  publish(channel: string, message: QueuedCall): Promise<Published> {
    if (this.#pending >= this.#options.maxPending) return Promise.reject(new UnavailableError())
    this.#pending++
    return new Promise((resolve, reject) => {
      const waiting = { message, resolve, reject }
      const lane = this.#lanes.get(channel)
      if (lane !== undefined) {
        lane.push(waiting)
        return
      }
      this.#lanes.set(channel, [waiting])
      // The publishes of one turn leave together, and so arrive together: every node writes once to each subscriber. A
      // microtask would be too early: a loop over messages that came together publishes one in each.
      if (this.#fresh.push(channel) === 1) setImmediate(() => this.flush())
    })
  }

  /** Sends what was published in this turn. */
  flush(): void {
    for (const channel of this.#fresh.splice(0)) this.#serve(channel, this.#lanes.get(channel) as Waiting[])
  }

  #serve(channel: string, lane: Waiting[]): void {
    const batch = lane.splice(0, batchLength(lane))
    const messages = batch.map(({ message }) => message)
    this.#options.send(channel, messages).then(
      (replies) => {
        for (let at = 0; at < batch.length; at++) settle(batch[at] as Waiting, replies[at] as PublishReply)
        this.#done(channel, lane, batch.length)
      },
      (error) => {
        for (const { reject } of batch) reject(error)
        this.#done(channel, lane, batch.length)
      }
    )
  }

  #done(channel: string, lane: Waiting[], count: number): void {
    this.#pending -= count
    if (lane.length > 0) this.#serve(channel, lane)
    else this.#lanes.delete(channel)
  }
}

function settle({ resolve, reject }: Waiting, [outcome, offset, epoch]: PublishReply): void {
  if (outcome === 2) reject(new ConflictError())
  else if (outcome === 3) reject(new UnknownOutcomeError())
  else resolve({ offset, epoch, duplicate: outcome === 1 })
}

function batchLength(lane: readonly Waiting[]): number {
  const [first] = lane as [Waiting]
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
