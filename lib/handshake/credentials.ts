import type { FastifyRequest } from 'fastify'
import type { ResolvedAuth } from '../options/options.ts'
import type { Handshake } from './handshake.ts'
import { cookieToken } from './jwt.ts'
import { RefusalReason } from './refusal-reason.ts'

/* Finds the token of a handshake, and the reason to log if there is none. */

const BEARER = /^bearer +([^ ]+)$/i

type Credentials = Pick<Handshake, 'offer' | 'urlTokens'>

/** The token of a handshake in one of the route's sources. Undefined if there is none. */
export function findToken(
  { offer, urlTokens: [inUrl] }: Credentials,
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

/**
 * Why a token in the URL is refused. It is in the log of every proxy by now, so the handshake is refused even if it has
 * another token.
 */
export function forbiddenToken({ urlTokens }: Credentials, { sources }: ResolvedAuth): RefusalReason | undefined {
  if (urlTokens.length === 0 || sources.includes('query')) return undefined
  const elsewhere = 'offer it as a subprotocol or in the Authorization header'
  return new RefusalReason(`token in the query: ${elsewhere}, or name query in auth.sources`)
}

/** Why there is no token. */
export function missingToken({ offer }: Credentials, request: FastifyRequest, auth: ResolvedAuth): RefusalReason {
  return new RefusalReason(whyMissing(offer.token !== undefined, request, auth))
}

function whyMissing(isOffered: boolean, request: FastifyRequest, { sources, authenticate }: ResolvedAuth): string {
  // The route does not have this source, or `findToken` would have found the token.
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
