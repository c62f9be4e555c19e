import secureJson from 'secure-json-parse'
import { boundedIssues } from '../input/issues.ts'
import { type CompiledValidator, runValidator } from '../input/validator.ts'
import { keyedOf } from '../protocol/dialogue.ts'
import { hasUnsafeInteger, isDeeperThan, isUnportable } from '../protocol/json.ts'
import { type ErrorCode, type ErrorDetails, errorMessage } from '../protocol/messages.ts'

const BYTE_ORDER_MARK = 0xfeff
/** Stands for a binary message. It is refused, so its bytes are not kept. */
export const BINARY = Symbol('binary')

// As long as an idempotency key may be.
const MAX_KEY_BYTES = 255

const FORBIDDEN_KEY = 'Object contains forbidden prototype property'

export interface InboxOptions {
  readonly limits: {
    /** Messages that may wait, and their bytes; past either the socket is paused. */
    readonly maxQueue: number
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
  /** A message was refused with that code; `cause` is the validator's own failure. */
  rejected(code: ErrorCode, cause?: unknown): void
  /** The handler is done with a keyed message, or it was refused. */
  taken(key: string): void
}

type Parsed = (
  | { readonly value: unknown }
  | { readonly error: ErrorCode; readonly text: string; readonly cause?: unknown }
) & { readonly key?: string }

type Queued = Buffer | typeof BINARY

// The queue of most connections at most times. Nothing is ever added to it.
const NONE: Queued[] = []

type Waiting = (result: IteratorResult<unknown>) => void

function refusal(error: ErrorCode, details?: ErrorDetails): Parsed {
  return { error, text: errorMessage(error, details) }
}

/**
 * The messages of one `app.ws` connection on their way to its handler. They wait as bytes and are parsed when the
 * handler asks for them, so errors are answered in the order of the messages.
 */
export class Inbox implements AsyncIterableIterator<unknown> {
  readonly #options: InboxOptions
  readonly #owner: InboxOwner
  #queue: Queued[] = NONE
  #start = 0
  #bytes = 0
  /** The call of `next()` that waits for a message, and those behind it, if the application iterates by hand. */
  #waiting: Waiting | undefined
  #waitingBehind: Waiting[] | undefined
  #paused = false
  #ended = false
  #key: string | undefined
  readonly #takesKeys: boolean
  /** A loop over the messages is under way. */
  running = false

  /** @param takesKeys The route takes keyed messages: `{"key":…,"message":…}`. */
  constructor(options: InboxOptions, takesKeys: boolean, owner: InboxOwner) {
    this.#options = options
    this.#takesKeys = takesKeys
    this.#owner = owner
  }

  /** True between the handler's taking a message and its asking for the next. */
  get busy(): boolean {
    return this.running && this.#waiting === undefined
  }

  /** The key of the message that was handed out last. */
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
    if (this.#queue === NONE) this.#queue = []
    this.#queue.push(data)
    this.#bytes += bytesOf(data)
    const { maxQueue, maxPayload } = this.#options.limits
    if (!this.#paused && (this.length >= maxQueue || this.#bytes >= maxPayload)) {
      this.#paused = true
      this.#owner.pause()
    }
  }

  /** No more messages come. Those that wait are still handed out. */
  end(): void {
    this.#ended = true
    if (this.#waiting !== undefined) this.#finish()
  }

  next(): Promise<IteratorResult<unknown>> {
    this.#done()
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
    this.#done()
    return Promise.resolve(this.#finish())
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /** The handler asks for the next message, or ends its loop: it is done with the one before. */
  #done(): void {
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
    // Now and then, or what was taken would be kept for as long as anything waits.
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

  /** The message's value, or undefined where it was refused and answered. */
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
      // The validator's fault, or issues that can't be written as JSON.
      return { ...refusal('internal'), cause }
    }
  }
}

function bytesOf(data: Queued): number {
  return data === BINARY ? 0 : data.length
}
