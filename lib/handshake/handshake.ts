import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ConnectionKind, ConnectionSettings } from '../connection/connection.ts'
import { GuardedLog } from '../input/guarded-log.ts'
import type { Claims } from '../options/options.ts'
import type { SubprotocolOffer } from '../protocol/subprotocol.ts'
import type { Timed, TimerWheel } from '../timing/timer-wheel.ts'
import type { DismissalMark } from './dismissals.ts'
import type { UrlToken } from './redaction.ts'
import type { Route } from './route.ts'

const kHandshake = Symbol('fastify-realtime.handshake')
type Carrier = (IncomingMessage | Duplex) & { [kHandshake]?: Handshake | undefined }

const NO_BYTES = Buffer.alloc(0)
const NO_OFFER: SubprotocolOffer = { protocols: [], offered: false }
const NO_TOKENS: readonly UrlToken[] = []

/** What is known of a handshake when it arrives. */
export interface Arrival {
  /** The connection's id, unique over all nodes. */
  readonly id: string
  readonly stream: Duplex
  /** Bytes that came behind the request. */
  readonly head: Buffer
  /** When it came in, by the clock of `performance`. */
  readonly begunAt: number
  readonly offer: SubprotocolOffer
  /** Tokens that stood in the URL, from which they are taken out, each with the name of its parameter. */
  readonly urlTokens: readonly UrlToken[]
  /** Taken before any hook runs: a session that a hook loads may be ended before it is verified. */
  readonly mark: DismissalMark
}

/** A handshake at a route, while it is decided whether to admit it. */
export interface Attempt {
  readonly handshake: Handshake
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly route: Route
  claims: Claims | null
}

/** One request for an upgrade, from its arrival to the 101. */
export class Handshake {
  readonly id: string
  readonly stream: Duplex
  readonly begunAt: number
  readonly mark: DismissalMark
  // Private, so that a request that is inspected, as console.log() does, shows no token.
  #offer: SubprotocolOffer
  #urlTokens: readonly UrlToken[]
  #head: Buffer
  /** Set by `settle`. */
  settings: ConnectionSettings | undefined
  /** Refuses it if no hook comes back in time. */
  deadline: Timed | undefined

  constructor({ id, stream, head, begunAt, offer, urlTokens, mark }: Arrival) {
    this.id = id
    this.stream = stream
    this.begunAt = begunAt
    this.mark = mark
    this.#offer = offer
    this.#urlTokens = urlTokens
    // An empty one of Node's is a view of all that was read with the request, and would keep it.
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
   * Notes it on its request and its stream, which outlive no listener that asks for it. Maps in place of these
   * properties would cost more, at each handshake and at each garbage collection.
   */
  note(request: IncomingMessage): void {
    ;(request as Carrier)[kHandshake] = this
    ;(this.stream as Carrier)[kHandshake] = this
  }

  /** It is decided that a connection of that kind may open: settles what the connection is to know. */
  settle({ request, route, claims: user }: Attempt, kind: ConnectionKind, wheel: TimerWheel): void {
    const { heartbeat, limits } = route.settings
    this.settings = {
      id: this.id,
      kind,
      user,
      // By the monotonic clock from here on: if the server's clock is set, connections must not expire by that.
      expiresAt: user?.exp === undefined ? Number.POSITIVE_INFINITY : wheel.now() + user.exp * 1000 - Date.now(),
      begunAt: this.begunAt,
      heartbeat,
      limits,
      validator: route.validator,
      route: route.url,
      log: new GuardedLog(request.log)
    }
  }

  /** The 101 is written: the connection keeps neither the token nor the bytes that it came in. */
  complete(): void {
    this.#offer = NO_OFFER
    this.#urlTokens = NO_TOKENS
    this.#head = NO_BYTES
    ;(this.stream as Carrier)[kHandshake] = undefined
  }
}

/** The handshake of a request, or of a stream until the 101. Undefined for a plain request. */
export function handshakeOf(carrier: IncomingMessage | Duplex): Handshake | undefined {
  return (carrier as Carrier)[kHandshake]
}
