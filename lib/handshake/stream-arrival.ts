import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { streamOf } from '../dependencies.ts'
import type { DismissalMark } from './dismissals.ts'
import { Handshake } from './handshake.ts'
import { CONNECT_NAME, REDACTED, takeConnect, takeUrlTokens, type UrlToken } from './redaction.ts'

const kArrival = Symbol('fastify-realtime.arrival')
type Carrier = IncomingMessage & { [kArrival]?: StreamArrival }

const NO_BYTES = Buffer.alloc(0)
const NO_OFFER = { protocols: [], offered: false } as const

/** A request that asks for a stream, before any hook has seen it. Its URL contains no credentials any more. */
export class StreamArrival {
  readonly mark: DismissalMark
  // These are private, so that the output of console.log(request) contains no token.
  readonly #urlTokens: readonly UrlToken[]
  #connects: readonly string[]

  constructor(request: IncomingMessage, mark: DismissalMark) {
    this.mark = mark
    this.#connects = takeConnect(request)
    this.#urlTokens = takeUrlTokens(request)
    ;(request as Carrier)[kArrival] = this
  }

  /** Takes the values of the parameter `cf_connect`. A second call returns none. */
  takeConnects(): readonly string[] {
    const connects = this.#connects
    this.#connects = []
    return connects
  }

  /** The handshake of the request. */
  begin(reply: FastifyReply): Handshake {
    return new Handshake({
      id: randomUUID(),
      stream: streamOf(reply.raw),
      head: NO_BYTES,
      begunAt: performance.now(),
      mark: this.mark,
      offer: NO_OFFER,
      urlTokens: this.#urlTokens
    })
  }
}

/** The arrival of a request. A request of `app.inject()` does not pass the gate, so it arrives here. */
export function arrivalOf(request: FastifyRequest, mark: () => DismissalMark): StreamArrival {
  const known = (request.raw as Carrier)[kArrival]
  if (known !== undefined) return known
  const query = request.query as Record<string, unknown>
  if (CONNECT_NAME in query) query[CONNECT_NAME] = REDACTED
  return new StreamArrival(request.raw, mark())
}

/** Takes the values of the parameter `cf_connect` of a request that was admitted. */
export function connectsOf(request: FastifyRequest): readonly string[] {
  return ((request.raw as Carrier)[kArrival] as StreamArrival).takeConnects()
}
