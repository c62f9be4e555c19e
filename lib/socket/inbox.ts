import secureJson from 'secure-json-parse'
import { boundedIssues } from '../input/issues.ts'
import { type CompiledValidator, runValidator } from '../input/validator.ts'
import { keyedOf } from '../protocol/dialogue.ts'
import { hasUnsafeInteger, isDeeperThan, isUnportable } from '../protocol/json.ts'
import { type ErrorCode, type ErrorDetails, errorMessage } from '../protocol/messages.ts'

const BYTE_ORDER_MARK = 0xfeff
/** Represents a binary message. Such messages are refused, so their bytes are not kept. */
export const BINARY = Symbol('binary')

// The same as for idempotency keys.
const MAX_KEY_BYTES = 255

const FORBIDDEN_KEY = 'Object contains forbidden prototype property'

export interface InboxOptions {
  readonly limits: {
    /** How many messages may wait. Once there are so many, reading is paused. */
    readonly maxQueue: number
    /** How many bytes of messages may wait. Once there are so many, reading is paused. */
    readonly maxPayload: number
    readonly maxDepth: number
  }
  readonly validator: CompiledValidator | undefined
}

/** What the inbox needs of its socket. */
export interface InboxOwner {
  sendText(text: string): void
  pause(): void
  resume(): void
  /** A message was refused with an error code. `cause` is the error, if the validator failed. */
  rejected(code: ErrorCode, cause?: unknown): void
  /** The handler is done with a keyed message, or the message was refused. */
  taken(key: string): void
}

type Parsed = (
  | { readonly value: unknown }
  | { readonly error: ErrorCode; readonly text: string; readonly cause?: unknown }
) & { readonly key?: string }

type Queued = Buffer | typeof BINARY

// Most connections have an empty queue most of the time, and share this one. Nothing is ever added to it.
const EMPTY_QUEUE: Queued[] = []

type Waiting = (result: IteratorResult<unknown>) => void

function refusal(error: ErrorCode, details?: ErrorDetails): Parsed {
  return { error, text: errorMessage(error, details) }
}

/**
 * Queues the messages of one `app.ws` connection for its handler. They wait as bytes, and are parsed when the handler
 * asks for them. So errors are answered in the order of the messages.
 */
export class Inbox implements AsyncIterableIterator<unknown> {
  readonly #options: InboxOptions
  readonly #owner: InboxOwner
  #queue: Queued[] = EMPTY_QUEUE
  #start = 0
  #bytes = 0
  /**
   * The call of `next()` that waits for a message. If the application iterates by hand, there may be more behind it.
   */
  #waiting: Waiting | undefined
  #waitingBehind: Waiting[] | undefined
  #paused = false
  #ended = false
  #key: string | undefined
  readonly #takesKeys: boolean
  /** True while a loop over the messages runs. */
  running = false

  /** @param takesKeys The route accepts keyed messages: `{"key":…,"message":…}`. */
  constructor(options: InboxOptions, takesKeys: boolean, owner: InboxOwner) {
    this.#options = options
    this.#takesKeys = takesKeys
    this.#owner = owner
  }

  /** True while the handler is working on a message: it has received one, and has not asked for the next. */
  get busy(): boolean {
    return this.running && this.#waiting === undefined
  }

  /** The key of the message that the handler received last. */
  get key(): string | undefined {
    return this.#key
  }

  get length(): number {
    return this.#queue.length - this.#start
  }

  add(data: Queued): void {
    if (this.#ended) return
    if (this.#waiting !== undefined) {
      const parsed = this.#accept(data)
      if (parsed !== undefined) this.#nextWaiting()?.({ value: parsed.value, done: false })
      return
    }
    if (this.#queue === EMPTY_QUEUE) this.#queue = []
    this.#queue.push(data)
    this.#bytes += bytesOf(data)
    const { maxQueue, maxPayload } = this.#options.limits
    if (!this.#paused && (this.length >= maxQueue || this.#bytes >= maxPayload)) {
      this.#paused = true
      this.#owner.pause()
    }
  }

  /** No more messages come. The handler still receives those that wait. */
  end(): void {
    this.#ended = true
    if (this.#waiting !== undefined) this.#finish()
  }

  next(): Promise<IteratorResult<unknown>> {
    this.#finishMessage()
    while (this.#start < this.#queue.length) {
      const parsed = this.#accept(this.#take())
      if (parsed !== undefined) return Promise.resolve({ value: parsed.value, done: false })
    }
    if (this.#ended) return this.return()
    return new Promise((resolve) => {
      if (this.#waiting === undefined) {
        this.#waiting = resolve
        return
      }
      this.#waitingBehind ??= []
      this.#waitingBehind.push(resolve)
    })
  }

  return(): Promise<IteratorResult<unknown>> {
    this.#finishMessage()
    return Promise.resolve(this.#finish())
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /** The handler is done with a message, because it asks for the next or ends its loop. */
  #finishMessage(): void {
    const key = this.#key
    this.#key = undefined
    if (key !== undefined) this.#owner.taken(key)
  }

  #finish(): IteratorResult<unknown> {
    const done = { value: undefined, done: true } as const
    this.running = false
    for (let resolve = this.#nextWaiting(); resolve !== undefined; resolve = this.#nextWaiting()) resolve(done)
    return done
  }

  #nextWaiting(): Waiting | undefined {
    const waiting = this.#waiting
    this.#waiting = this.#waitingBehind?.shift()
    return waiting
  }

  #take(): Queued {
    const data = this.#queue[this.#start++] as Queued
    this.#bytes -= bytesOf(data)
    // Once half of the array is used up. Otherwise it would keep old messages in memory for as long as others wait.
    if (this.#start >= this.length) {
      this.#queue = this.#queue.slice(this.#start)
      this.#start = 0
    }
    const { maxQueue, maxPayload } = this.#options.limits
    if (this.#paused && this.length <= maxQueue / 2 && this.#bytes <= maxPayload / 2) {
      this.#paused = false
      this.#owner.resume()
    }
    return data
  }

  /** The message's value. Undefined if the message was refused, and the refusal is sent. */
  #accept(data: Queued): { readonly value: unknown } | undefined {
    const parsed = data === BINARY ? refusal('unsupported_data') : this.#parse(data.toString())
    const { key } = parsed
    if ('value' in parsed) {
      this.#key = key
      return parsed
    }
    this.#owner.rejected(parsed.error, parsed.cause)
    this.#owner.sendText(parsed.text)
    if (key !== undefined) this.#owner.taken(key)
    return undefined
  }

  #parse(text: string): Parsed {
    if (isDeeperThan(text, this.#options.limits.maxDepth)) return refusal('too_deep')
    if (text.charCodeAt(0) === BYTE_ORDER_MARK) return refusal('invalid_json')
    let value: unknown
    try {
      value = secureJson.parse(text, null, { protoAction: 'error', constructorAction: 'error' })
    } catch (error) {
      return refusal((error as Error).message === FORBIDDEN_KEY ? 'invalid_message' : 'invalid_json')
    }
    if (isUnportable(text, value) || hasUnsafeInteger(text)) return refusal('invalid_message')
    const keyed = this.#takesKeys ? keyedOf(value) : undefined
    if (keyed === undefined) return this.#validate(value)
    const { key, message } = keyed
    if (key === '' || Buffer.byteLength(key) > MAX_KEY_BYTES) return refusal('invalid_message')
    return { ...this.#validate(message), key }
  }

  #validate(value: unknown): Parsed {
    const { validator } = this.#options
    if (validator === undefined) return { value }
    try {
      const result = runValidator(validator, value)
      return 'value' in result ? result : refusal('invalid_message', { issues: boundedIssues(result.issues) })
    } catch (cause) {
      // The validator threw, or its issues cannot be written as JSON.
      return { ...refusal('internal'), cause }
    }
  }
}

function bytesOf(data: Queued): number {
  return data === BINARY ? 0 : data.length
}
