import type { FastifyInstance, FastifyRequest } from 'fastify'
import { jwtNamespaces, jwtOf } from '../dependencies.ts'
import { KeysUnavailableError, UnauthorizedError } from '../errors.ts'
import { andThen, type Eventual, isPromise } from '../input/eventual.ts'
import { type Claims, DEFAULTS, type ResolvedAuth } from '../options/options.ts'
import { ChannelError } from '../protocol/channel-errors.ts'
import { type ClaimRules, checkClaims } from './claim-rules.ts'
import { findToken, forbiddenToken, missingToken } from './credentials.ts'
import type { Handshake } from './handshake.ts'
import { hasJwt, verifyByJwt } from './jwt.ts'
import { because, RefusalReason } from './refusal-reason.ts'
import { RequestView } from './request-view.ts'

/*
 * Who a client is. A token's verification is @fastify/jwt's or the application's; this adds what those leave open
 * (see claims.ts) and makes every failure one and the same 401, since the libraries also answer 400 and 500.
 */

/** Who somebody has shown to be. Nothing of it stands in the request before it is adopted. */
export interface Identity {
  readonly claims: Claims
  /** It is the connection's now: hooks find it in `request.user`. */
  adopt(): void
}

/** What a token is for. One with the claim `channel` is a subscription's, and nothing else. */
export type TokenUse = 'connection' | 'subscription'

// A session has an end of its own.
const SESSION_CLAIMS: readonly string[] = ['sub']
const FIRST_CLIENT_ERROR = 400
const FIRST_SERVER_ERROR = 500

/** What is missing for `auth` to be possible on the routes of an instance, and how to add it; undefined: nothing. */
export function authenticationFault(app: FastifyInstance, auth: ResolvedAuth): string | undefined {
  if (auth.sources.includes('cookie')) {
    if (jwtOf(app)?.cookie === undefined)
      return 'auth.sources names cookie: register @fastify/jwt with its option cookie'
    if (!app.hasDecorator('parseCookie')) return 'auth.sources names cookie: register @fastify/cookie before'
    if (jwtOf(app)?.cookie?.signed && !app.hasDecorator('unsignCookie'))
      return 'the cookie of @fastify/jwt is signed: give @fastify/cookie a secret'
  }
  if (auth.verify !== undefined || auth.authenticate !== undefined || hasJwt(app)) return undefined
  const otherwise = 'give auth.verify or auth.authenticate, or set auth: false to accept anonymous connections'
  const namespaces = jwtNamespaces(app)
  const names = namespaces.join(', ')
  if (namespaces.length === 0) return `register @fastify/jwt before, or ${otherwise}`
  // With several it cannot be known which of them the method belongs to.
  const mend = namespaces.length === 1 ? `register it with jwtVerify: 'jwtVerify', or ${otherwise}` : otherwise
  return `@fastify/jwt is registered under a namespace only (${names}), which is not asked: ${mend}`
}

/** Why subscription tokens cannot be verified, and what to do; undefined: they can. */
export function subscriptionTokenFault(app: FastifyInstance, auth: ResolvedAuth | false): string | undefined {
  const otherwise = 'or leave token out and decide in onSubscribe'
  if (auth === false) return `with auth: false no token is verified: set the option auth, ${otherwise}`
  if (verifiesTokens(app, auth)) return undefined
  return `there is nothing to verify a token: give auth.verify, or register @fastify/jwt before, ${otherwise}`
}

/** Whether tokens can be verified on the routes of an instance. */
function verifiesTokens(app: FastifyInstance, { verify }: ResolvedAuth): boolean {
  return verify !== undefined || hasJwt(app)
}

/**
 * Who opens a connection, by a token or by what the application makes of the request. Undefined if the client may say
 * so later (`isLate`). Rejects with `FST_RT_UNAUTHORIZED`, with `FST_RT_KEYS_UNAVAILABLE`, or with what
 * `auth.authenticate` threw if that was not a client's fault.
 */
export function authenticate(
  handshake: Pick<Handshake, 'offer' | 'urlTokens'>,
  request: FastifyRequest,
  auth: ResolvedAuth,
  isLate: boolean
): Eventual<Identity | undefined> {
  const forbidden = forbiddenToken(handshake, auth)
  if (forbidden !== undefined) throw because(new UnauthorizedError(), forbidden)
  const token = findToken(handshake, request, auth)
  if (token !== undefined) return verifyToken(token, request, auth, 'connection')
  const { authenticate } = auth
  const byRequest = authenticate === undefined ? undefined : authenticateByRequest(request, authenticate, auth)
  return andThen(byRequest, (claims) => {
    if (claims !== undefined) return { claims, adopt: () => setUser(request, claims) }
    if (isLate && verifiesTokens(request.server, auth)) return undefined
    throw because(new UnauthorizedError(), missingToken(handshake, request, auth))
  })
}

async function authenticateByRequest(
  request: FastifyRequest,
  authenticate: NonNullable<ResolvedAuth['authenticate']>,
  { requiredClaims }: ResolvedAuth
): Promise<Claims | undefined> {
  let claims: Claims | undefined
  try {
    claims = await authenticate(request)
  } catch (cause) {
    if (!isRefusal(cause)) throw isOutage(cause) ? because(new KeysUnavailableError(), cause) : cause
    throw because(new UnauthorizedError(), cause)
  }
  if (claims === undefined) return undefined
  const required = requiredClaims === DEFAULTS.auth.requiredClaims ? SESSION_CLAIMS : requiredClaims
  check(claims, { required })
  return claims
}

function setUser(request: FastifyRequest, claims: Claims): void {
  ;(request as unknown as Record<string, unknown>)[userName(request)] = claims
}

/** The property of a request that holds its user. */
function userName({ server }: FastifyRequest): string {
  return jwtOf(server)?.options.decoratorName ?? 'user'
}

/**
 * Verifies a token. Rejects with `FST_RT_UNAUTHORIZED` whatever is wrong with it, or with `FST_RT_KEYS_UNAVAILABLE` if
 * its key cannot be fetched; `cause` says more, and is not for the peer.
 */
export function verifyToken(
  token: string,
  request: FastifyRequest,
  auth: ResolvedAuth,
  use: TokenUse
): Eventual<Identity> {
  if (!verifiesTokens(request.server, auth)) {
    const reason = 'a token, and nothing to verify it: give auth.verify, or register @fastify/jwt before'
    throw because(new UnauthorizedError(), new RefusalReason(reason))
  }
  const view = new RequestView(request, auth.verify === undefined ? token : undefined)
  const accept = (claims: unknown): Identity => {
    check(claims, { ...rulesOf(request, auth), subscription: use === 'subscription' })
    return { claims: claims as Claims, adopt: () => view.adopt(userName(request), claims) }
  }
  let claims: Eventual<unknown>
  try {
    claims = auth.verify === undefined ? verifyByJwt(token, view.request) : auth.verify(token, view.request)
  } catch (cause) {
    throw unverified(cause)
  }
  if (!isPromise(claims)) return accept(claims)
  return claims.then(accept, (cause) => {
    throw unverified(cause)
  })
}

function unverified(cause: unknown): Error {
  return because(isOutage(cause) ? new KeysUnavailableError() : new UnauthorizedError(), cause)
}

function check(claims: unknown, rules: ClaimRules): void {
  try {
    checkClaims(claims, rules, Date.now() / 1000)
  } catch (cause) {
    throw because(new UnauthorizedError(), cause)
  }
}

/** What @fastify/jwt was told of issuers and audiences concerns the tokens that it verifies. */
function rulesOf(request: FastifyRequest, { verify, requiredClaims }: ResolvedAuth): ClaimRules {
  const jwt = verify === undefined ? jwtOf(request.server)?.options.verify : undefined
  if (jwt === undefined) return { required: requiredClaims }
  const required = [...requiredClaims]
  if (jwt.allowedIss !== undefined) required.push('iss')
  if (jwt.allowedAud !== undefined) required.push('aud')
  return { required, clockTolerance: jwt.clockTolerance }
}

/** True for what says that the client may not: an HTTP error of the 400s, or what `forbidden()` makes. */
function isRefusal(error: unknown): boolean {
  if (error instanceof ChannelError) return true
  const { statusCode } = (error ?? {}) as { statusCode?: unknown }
  return typeof statusCode === 'number' && statusCode >= FIRST_CLIENT_ERROR && statusCode < FIRST_SERVER_ERROR
}

const NETWORK_FAULT = /^(E[A-Z]+|EAI_[A-Z]+|UND_ERR_[A-Z_]+)$/

/** True for what fetching a key throws if the network or the other side is at fault, not the token. */
function isOutage(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false
  const { code, name, statusCode, cause, originalError } = error as Record<string, unknown>
  // fast-jwt's wrapper: its own verdicts on a token have no original error.
  if (code === 'FAST_JWT_KEY_FETCHING_ERROR') return isOutage(originalError)
  if (typeof code === 'string') {
    if (/^(FST|FAST)_JWT_/.test(code)) return false
    if (NETWORK_FAULT.test(code)) return true
  }
  // What AbortSignal.timeout() makes a fetch reject with.
  if (name === 'TimeoutError' || name === 'AbortError') return true
  if (typeof statusCode === 'number') return statusCode >= 500
  return isOutage(cause)
}
