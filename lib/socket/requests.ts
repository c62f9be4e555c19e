import secureJson from 'secure-json-parse'
import { BoundedLog } from '../connection/bounded-log.ts'
import {
  InvalidArgumentError,
  RequestLimitError,
  RequestRefusedError,
  RequestsOffError,
  RequestTimeoutError,
  SocketClosedError
} from '../errors.ts'
import type { Log } from '../input/guarded-log.ts'
import { boundedIssues } from '../input/issues.ts'
import { loggable } from '../input/loggable.ts'
import { stringify } from '../input/stringify.ts'
import { isDisconnectError, readable } from '../input/thrown.ts'
import { type CompiledValidator, runValidator } from '../input/validator.ts'
import { isChannelError } from '../protocol/channel-errors.ts'
import { type Dialogue, dialogueOf, failureMessage, replyMessage, requestMessage } from '../protocol/dialogue.ts'
import { hasUnsafeInteger, isDeeperThan, isUnportable } from '../protocol/json.ts'
import { type ErrorCode, type ErrorDetails, errorOf } from '../protocol/messages.ts'
import type { Timed, TimerWheel } from '../timing/timer-wheel.ts'

export interface RequestOptions {
  /**
   * Milliseconds to wait for the reply, 1 to 600,000.
   * @default 10000
   */
  timeout?: number | undefined
}

/** What a route declares about requests. */
export interface RequestRules {
  /** Answers the client's requests. */
  respond?: ((data: unknown) => unknown) | undefined
  /** Whether the server may send requests. */
  requests: boolean
  validator?: CompiledValidator | undefined
  serializer?: ((data: unknown) => string) | undefined
}

export interface RequestLimits {
  /** How many requests may wait for their reply, in each direction. */
  readonly maxQueue: number
  /** How many bytes the client's waiting requests may have. Past that, its requests are refused. */
  readonly maxPayload: number
  readonly maxDepth: number
}

/** What requests need of their socket. */
export interface RequestsOwner {
  isClosed(): boolean
  readonly log: Log
  sendText(text: string): void
  rejected(code: ErrorCode): void
}

const DEFAULT_TIMEOUT = 10_000
const MAX_TIMEOUT = 600_000
// The errors of a broker that is not available. They are not logged here: the broker's change of state was logged.
const UNAVAILABLE = new Set<unknown>(['FST_RT_UNAVAILABLE', 'FST_RT_UNKNOWN_OUTCOME'])
const BACKSLASH = 0x5c

/** The requests of one `app.ws` connection that wait for their replies, in both directions. */
export class Requests {
  readonly #rules: RequestRules
  readonly #owner: RequestsOwner
  readonly #wheel: TimerWheel
  readonly #limits: RequestLimits
  /** The server's requests that wait for a reply, by id. Made with the first one. */
  #pending: Map<number, PendingRequest> | undefined
  #lastId = 0
  #failureLog: BoundedLog | undefined
  #answering = 0
  #answeringBytes = 0
  #whenAnswered: (() => void)[] | undefined

  constructor(rules: RequestRules, owner: RequestsOwner, wheel: TimerWheel, limits: RequestLimits) {
    this.#rules = rules
    this.#owner = owner
    this.#wheel = wheel
    this.#limits = limits
  }

  /** Resolves once the client's requests are answered. Undefined if there are none. */
  answered(): Promise<void> | undefined {
    if (this.#answering === 0) return undefined
    return new Promise((resolve) => {
      this.#whenAnswered ??= []
      this.#whenAnswered.push(resolve)
    })
  }

  /** Sends a request. Resolves with the client's reply. */
  ask(data: unknown, options: RequestOptions = {}): Promise<unknown> {
    const reply = this.#ask(data, options)
    // The caller may not wait for the reply, and an unhandled rejection would end the process.
    reply.catch(() => undefined)
    return reply
  }

  async #ask(data: unknown, { timeout = DEFAULT_TIMEOUT }: RequestOptions): Promise<unknown> {
    if (!this.#rules.requests) throw new RequestsOffError()
    if (!(timeout >= 1 && timeout <= MAX_TIMEOUT)) {
      throw new InvalidArgumentError('timeout', 'give milliseconds, 1 to 600000')
    }
    if (this.#owner.isClosed()) throw new SocketClosedError()
    this.#pending ??= new Map()
    const pending = this.#pending
    if (pending.size >= this.#limits.maxQueue) throw new RequestLimitError()
    const text = stringify(data)
    const id = ++this.#lastId
    return await new Promise((resolve, reject) => {
      const settle = (outcome: RequestOutcome) => {
        pending.delete(id)
        this.#wheel.delete(request)
        if ('error' in outcome) reject(outcome.error)
        else resolve(outcome.reply)
      }
      const request = new PendingRequest(settle)
      pending.set(id, request)
      this.#wheel.set(request, this.#wheel.now() + timeout)
      this.#owner.sendText(requestMessage(id, text))
    })
  }

  /** Handles a message if it is a request or a reply. False for any other message, which is for the handler. */
  take(data: Buffer): boolean {
    const message = this.#read(data)
    if (message === undefined) return false
    if ('request' in message) {
      if (this.#rules.respond === undefined) return false
      void this.#answer(message.id, message.request, this.#rules.respond, data.length)
      return true
    }
    if (!this.#rules.requests) return false
    // A reply that comes too late is dropped.
    const error = 'error' in message ? Object.assign(new RequestRefusedError(), { cause: message.error }) : undefined
    this.#pending?.get(message.id)?.settle(error === undefined ? { reply: Reflect.get(message, 'reply') } : { error })
    return true
  }

  /** A message past the rate was dropped. If it is a request, refuses it: its client would wait for the reply. */
  refuse(data: Buffer, retryAfter: number): boolean {
    const message = this.#rules.respond && this.#read(data)
    if (message === undefined || !('request' in message)) return false
    this.#owner.sendText(failureMessage(message.id, errorOf('rate_limited', { retryAfter })))
    return true
  }

  /** The connection has ended. */
  end(): void {
    for (const request of [...(this.#pending?.values() ?? [])]) request.settle({ error: new SocketClosedError() })
  }

  #read(data: Buffer): Dialogue | undefined {
    return this.#mayBeDialogue(data) ? dialogueOf(this.#parse(data.toString())) : undefined
  }

  /** A fast check, so that most other messages are not parsed twice. JSON may write a key with escapes. */
  #mayBeDialogue(data: Buffer): boolean {
    const { respond, requests } = this.#rules
    if (data.includes(BACKSLASH) || (respond !== undefined && data.includes('"request"'))) return true
    return requests && (data.includes('"reply"') || data.includes('"error"'))
  }

  /** Undefined if the text is not valid. Then the inbox sends the error, in the order of the messages. */
  #parse(text: string): unknown {
    if (isDeeperThan(text, this.#limits.maxDepth)) return undefined
    try {
      const value: unknown = secureJson.parse(text, null, { protoAction: 'error', constructorAction: 'error' })
      return isUnportable(text, value) || hasUnsafeInteger(text) ? undefined : value
    } catch {
      return undefined // see above
    }
  }

  async #answer(id: number, data: unknown, respond: (data: unknown) => unknown, bytes: number): Promise<void> {
    const { maxQueue, maxPayload } = this.#limits
    if (this.#answering >= maxQueue || this.#answeringBytes >= maxPayload) {
      this.#refuse(id, 'rate_limited')
      return
    }
    this.#answering++
    this.#answeringBytes += bytes
    try {
      const validated = this.#validate(id, data)
      if (validated !== undefined) this.#reply(id, await respond(validated.value))
    } catch (thrown) {
      this.#fail(id, readable(thrown))
    }
    this.#answeringBytes -= bytes
    if (--this.#answering === 0) for (const resolve of this.#whenAnswered?.splice(0) ?? []) resolve()
  }

  #validate(id: number, data: unknown): { readonly value: unknown } | undefined {
    const { validator } = this.#rules
    if (validator === undefined) return { value: data }
    const result = runValidator(validator, data)
    if ('value' in result) return result
    this.#refuse(id, 'invalid_message', { issues: boundedIssues(result.issues) })
    return undefined
  }

  /** A reply of `undefined` is sent as null, because JSON has no `undefined`. */
  #reply(id: number, data: unknown): void {
    const { serializer } = this.#rules
    this.#owner.sendText(replyMessage(id, serializer === undefined ? stringify(data ?? null) : serializer(data)))
  }

  /**
   * Sends the client the error's code, if it is a `ChannelError`. Otherwise the code is `internal` or `unavailable`.
   */
  #fail(id: number, error: unknown): void {
    if (isChannelError(error)) {
      const { code, message } = error
      this.#owner.sendText(failureMessage(id, { code, message }))
      return
    }
    if (UNAVAILABLE.has((error as { code?: unknown } | null | undefined)?.code)) {
      this.#refuse(id, 'unavailable')
      return
    }
    const { log } = this.#owner
    if (this.#owner.isClosed() && isDisconnectError(error))
      log.debug({ err: loggable(error) }, 'request ended with its connection')
    else {
      this.#failureLog ??= new BoundedLog(log, this.#wheel)
      this.#failureLog.error({ err: loggable(error) }, 'request failed')
    }
    this.#refuse(id, 'internal')
  }

  #refuse(id: number, code: ErrorCode, details?: ErrorDetails): void {
    this.#owner.sendText(failureMessage(id, errorOf(code, details)))
    if (code === 'invalid_message' || code === 'rate_limited') this.#owner.rejected(code)
  }
}

type RequestOutcome = { readonly reply: unknown } | { readonly error: Error }

/** One request of the server that waits for its reply. */
class PendingRequest implements Timed {
  readonly settle: (outcome: RequestOutcome) => void
  wheelTick = -1

  constructor(settle: (outcome: RequestOutcome) => void) {
    this.settle = settle
  }

  /** The wheel calls this. */
  onDue(): number {
    this.settle({ error: new RequestTimeoutError() })
    return Number.POSITIVE_INFINITY
  }
}
