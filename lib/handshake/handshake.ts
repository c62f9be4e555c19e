import type { IncomingMessage } from 'node:http'
import type { Writable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ConnectionKind, ConnectionSettings, Transport } from '../connection/connection.ts'
import { GuardedLog } from '../input/guarded-log.ts'
import type { Claims } from '../options/options.ts'
import type { SubprotocolOffer } from '../protocol/subprotocol.ts'
import type { Timed, TimerWheel } from '../timing/timer-wheel.ts'
import type { DismissalMark } from './dismissals.ts'
import type { UrlToken } from './redaction.ts'
import type { Route } from './route.ts'

const kHandshake = Symbol('fastify-realtime.handshake')
type Carrier = (IncomingMessage | Writable) & { [kHandshake]?: Handshake | undefined }

const NO_BYTES = Buffer.alloc(0)
const NO_OFFER: SubprotocolOffer = { protocols: [], offered: false }
const NO_TOKENS: readonly UrlToken[] = []

/** The properties of a handshake when it arrives. */
export interface Arrival {
  /** The connection's id, unique over all nodes. */
  readonly id: string
  /** The socket of an upgrade. For a streaming request, the response. */
  readonly stream: Writable
  /** Bytes that arrived after the request. */
  readonly head: Buffer
  /** When the request arrived, by the clock of `performance`. */
  readonly begunAt: number
  readonly offer: SubprotocolOffer
  /** The tokens that were removed from the URL, each with the name of its parameter. */
  readonly urlTokens: readonly UrlToken[]
  /** Made before any hook runs: the user may be disconnected after a hook has loaded the session. */
  readonly mark: DismissalMark
}

/** A handshake at a route, before the decision to admit it. */
export interface Attempt {
  readonly handshake: Handshake
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly route: Route
  claims: Claims | null
}

/** One request that opens a connection, from its arrival to the 101, or to the 200 of a stream. */
export class Handshake {
  readonly id: string
  readonly stream: Writable
  readonly begunAt: number
  readonly mark: DismissalMark
  // These are private, so that the output of console.log(request) contains no token.
  #offer: SubprotocolOffer
  #urlTokens: readonly UrlToken[]
  #head: Buffer
  /** Set by `createSettings`. */
  settings: ConnectionSettings | undefined
  /** Refuses the handshake if it is not complete in time. */
  deadline: Timed | undefined

  constructor({ id, stream, head, begunAt, offer, urlTokens, mark }: Arrival) {
    this.id = id
    this.stream = stream
    this.begunAt = begunAt
    this.mark = mark
    this.#offer = offer
    this.#urlTokens = urlTokens
    // An empty `head` of Node is a view of the chunk that held the request, and would keep that chunk in memory.
    this.#head = head.length === 0 ? NO_BYTES : head
  }

  get offer(): SubprotocolOffer {
    return this.#offer
  }

  get urlTokens(): readonly UrlToken[] {
    return this.#urlTokens
  }

  get head(): Buffer {
    return this.#head
  }

  /**
   * Stores this handshake in a property of its request and of its stream, so that `handshakeOf` finds it. Maps would
   * cost more than these properties, at each handshake and at each garbage collection.
   */
  attachTo(request: IncomingMessage): void {
    ;(request as Carrier)[kHandshake] = this
    ;(this.stream as Carrier)[kHandshake] = this
  }

  /** Makes the settings of the connection, after the decision that a connection of this kind may open. */
  createSettings({ request, route, claims: user }: Attempt, kind: ConnectionKind, wheel: TimerWheel): void {
    const { heartbeat, limits } = route.settings
    this.settings = {
      id: this.id,
      kind,
      transport: (route.transport ?? 'websocket') as Transport,
      user,
      // Uses the monotonic clock from here on, so that connections do not expire if the server's clock is changed.
      // A whole number: V8 keeps a fraction in memory of its own.
      expiresAt:
        user?.exp === undefined ? Number.POSITIVE_INFINITY : Math.trunc(wheel.now() + user.exp * 1000 - Date.now()),
      begunAt: this.begunAt,
      heartbeat,
      limits,
      validator: route.validator,
      route: route.url,
      log: new GuardedLog(request.log)
    }
  }

  /** Called when the 101 is written: the connection keeps neither the token nor the bytes in which it arrived. */
  complete(): void {
    this.#offer = NO_OFFER
    this.#urlTokens = NO_TOKENS
    this.#head = NO_BYTES
    ;(this.stream as Carrier)[kHandshake] = undefined
  }
}

/** The handshake of a request, or of a stream until the 101. Undefined for a plain request. */
export function handshakeOf(carrier: IncomingMessage | Writable): Handshake | undefined {
  return (carrier as Carrier)[kHandshake]
}
