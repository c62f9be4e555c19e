import type { FastifyRequest } from 'fastify'
import type { ResolvedAuth } from '../options/options.ts'
import type { Handshake } from './handshake.ts'
import { cookieToken } from './jwt.ts'
import { RefusalReason } from './refusal-reason.ts'

/* Where a handshake may hold a token, and what is logged if it holds none. */

const BEARER = /^bearer +([^ ]+)$/i

type Knocking = Pick<Handshake, 'offer' | 'urlTokens'>

/** The token that a handshake offers in one of the route's sources; undefined if there is none. */
export function findToken(
  { offer, urlTokens: [inUrl] }: Knocking,
  request: FastifyRequest,
  { sources }: ResolvedAuth
): string | undefined {
  if (sources.includes('subprotocol') && offer.token !== undefined) return offer.token
  if (sources.includes('authorization')) {
    const token = bearerOf(request)
    if (token !== undefined) return token
  }
  if (sources.includes('query') && inUrl !== undefined) return inUrl.value
  return sources.includes('cookie') ? cookieToken(request) : undefined
}

function bearerOf({ headers }: FastifyRequest): string | undefined {
  return BEARER.exec(headers.authorization ?? '')?.[1]
}

/** A token in the URL is in every proxy's log by now: its sender has to learn of it, whatever else is offered. */
export function forbiddenToken({ urlTokens }: Knocking, { sources }: ResolvedAuth): RefusalReason | undefined {
  if (urlTokens.length === 0 || sources.includes('query')) return undefined
  const elsewhere = 'offer it as a subprotocol or in the Authorization header'
  return new RefusalReason(`token in the query: ${elsewhere}, or name query in auth.sources`)
}

/** Why there is no token. */
export function missingToken({ offer }: Knocking, request: FastifyRequest, auth: ResolvedAuth): RefusalReason {
  return new RefusalReason(whyMissing(offer.token !== undefined, request, auth))
}

function whyMissing(isOffered: boolean, request: FastifyRequest, { sources, authenticate }: ResolvedAuth): string {
  // It would have been found in a source that the route has.
  if (isOffered) return 'token in the subprotocol offer: name subprotocol in auth.sources'
  if (bearerOf(request) !== undefined) return 'token in the Authorization header: name authorization in auth.sources'
  if (authenticate !== undefined) return 'no token, and auth.authenticate gave no claims'
  const { authorization, cookie } = request.headers
  if (authorization !== undefined) return 'no token: the Authorization header does not hold one'
  if (cookie === undefined) return 'no token'
  return sources.includes('cookie')
    ? 'no token: the cookie of @fastify/jwt is not there'
    : 'no token, but a cookie: name cookie in auth.sources, or give auth.authenticate'
}
