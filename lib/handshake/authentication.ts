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
import { RefusalReason, withCause } from './refusal-reason.ts'
import { RequestView } from './request-view.ts'

/*
 * Authenticates clients. @fastify/jwt or the application verifies tokens. This file adds the checks that both leave out
 * (see claim-rules.ts). It answers every failure with the same 401, because the libraries also answer 400 and 500.
 */

/** The verified identity of a client. The request does not contain it before `adopt` is called. */
export interface Identity {
  readonly claims: Claims
  /** Gives the identity to the connection: hooks find it in `request.user`. */
  adopt(): void
}

/** The purpose of a token. A token with the claim `channel` is valid for a subscription only. */
export type TokenUse = 'connection' | 'subscription'

// Claims of a session need no `exp`, because the session itself expires.
const SESSION_CLAIMS: readonly string[] = ['sub']
const FIRST_CLIENT_ERROR = 400
const FIRST_SERVER_ERROR = 500

/** What is missing to authenticate clients on the routes of an instance, and how to add it. Undefined if nothing is. */
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
  // If there are several namespaces, it is not known to which of them the method belongs.
  const fix = namespaces.length === 1 ? `register it with jwtVerify: 'jwtVerify', or ${otherwise}` : otherwise
  return `@fastify/jwt is registered under a namespace only (${names}), which is not asked: ${fix}`
}

/** Why subscription tokens cannot be verified, and what to do. Undefined if they can be verified. */
export function subscriptionTokenFault(app: FastifyInstance, auth: ResolvedAuth | false): string | undefined {
  const otherwise = 'or leave token out and decide in onSubscribe'
  if (auth === false) return `with auth: false no token is verified: set the option auth, ${otherwise}`
  if (verifiesTokens(app, auth)) return undefined
  return `there is nothing to verify a token: give auth.verify, or register @fastify/jwt before, ${otherwise}`
}

/** True if tokens can be verified on the routes of an instance. */
function verifiesTokens(app: FastifyInstance, { verify }: ResolvedAuth): boolean {
  return verify !== undefined || hasJwt(app)
}

/**
 * Authenticates the client that opens a connection, by its token or with `auth.authenticate`. The result is undefined
 * if there is no identity yet and the client may send a token later (`isLate`). Throws or rejects with
 * `FST_RT_UNAUTHORIZED`, with `FST_RT_KEYS_UNAVAILABLE`, or with the error of `auth.authenticate` if the client did not
 * cause it.
 */
export function authenticate(
  handshake: Pick<Handshake, 'offer' | 'urlTokens'>,
  request: FastifyRequest,
  auth: ResolvedAuth,
  isLate: boolean
): Eventual<Identity | undefined> {
  const forbidden = forbiddenToken(handshake, auth)
  if (forbidden !== undefined) throw withCause(new UnauthorizedError(), forbidden)
  const token = findToken(handshake, request, auth)
  if (token !== undefined) return verifyToken(token, request, auth, 'connection')
  const { authenticate } = auth
  const byRequest = authenticate === undefined ? undefined : authenticateByRequest(request, authenticate, auth)
  return andThen(byRequest, (claims) => {
    if (claims !== undefined) return { claims, adopt: () => setUser(request, claims) }
    if (isLate && verifiesTokens(request.server, auth)) return undefined
    throw withCause(new UnauthorizedError(), missingToken(handshake, request, auth))
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
    if (!isRefusal(cause)) throw isOutage(cause) ? withCause(new KeysUnavailableError(), cause) : cause
    throw withCause(new UnauthorizedError(), cause)
  }
  if (claims === undefined) return undefined
  const required = requiredClaims === DEFAULTS.auth.requiredClaims ? SESSION_CLAIMS : requiredClaims
  check(claims, { required })
  return claims
}

function setUser(request: FastifyRequest, claims: Claims): void {
  ;(request as unknown as Record<string, unknown>)[userName(request)] = claims
}

/** The name of the property of a request that contains its user. */
function userName({ server }: FastifyRequest): string {
  return jwtOf(server)?.options.decoratorName ?? 'user'
}

/**
 * Verifies a token. Throws or rejects with `FST_RT_UNAUTHORIZED` if anything is wrong with the token, or with
 * `FST_RT_KEYS_UNAVAILABLE` if its key cannot be fetched. The error's `cause` has the details. The client must not get
 * them.
 */
export function verifyToken(
  token: string,
  request: FastifyRequest,
  auth: ResolvedAuth,
  use: TokenUse
): Eventual<Identity> {
  if (!verifiesTokens(request.server, auth)) {
    const reason = 'a token, and nothing to verify it: give auth.verify, or register @fastify/jwt before'
    throw withCause(new UnauthorizedError(), new RefusalReason(reason))
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
  return Promise.resolve(claims).then(accept, (cause) => {
    throw unverified(cause)
  })
}

function unverified(cause: unknown): Error {
  return withCause(isOutage(cause) ? new KeysUnavailableError() : new UnauthorizedError(), cause)
}

function check(claims: unknown, rules: ClaimRules): void {
  try {
    checkClaims(claims, rules, Date.now() / 1000)
  } catch (cause) {
    throw withCause(new UnauthorizedError(), cause)
  }
}

/** The rules for claims. The issuers and audiences of @fastify/jwt's options apply only to tokens that it verifies. */
function rulesOf(request: FastifyRequest, { verify, requiredClaims }: ResolvedAuth): ClaimRules {
  const jwt = verify === undefined ? jwtOf(request.server)?.options.verify : undefined
  if (jwt === undefined) return { required: requiredClaims }
  const required = [...requiredClaims]
  if (jwt.allowedIss !== undefined) required.push('iss')
  if (jwt.allowedAud !== undefined) required.push('aud')
  return { required, clockTolerance: jwt.clockTolerance }
}

/** True for an error with which the application refuses the client: an HTTP error 4xx, or a `ChannelError`. */
function isRefusal(error: unknown): boolean {
  if (error instanceof ChannelError) return true
  const { statusCode } = (error ?? {}) as { statusCode?: unknown }
  return typeof statusCode === 'number' && statusCode >= FIRST_CLIENT_ERROR && statusCode < FIRST_SERVER_ERROR
}

const NETWORK_FAULT = /^(E[A-Z]+|EAI_[A-Z]+|UND_ERR_[A-Z_]+)$/

/** True for the error of fetching a key if the network or the key server is at fault, and not the token. */
function isOutage(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false
  const { code, name, statusCode, cause, originalError } = error as Record<string, unknown>
  // fast-jwt wraps the error. Its own errors about a token have no original error.
  if (code === 'FAST_JWT_KEY_FETCHING_ERROR') return isOutage(originalError)
  if (typeof code === 'string') {
    if (/^(FST|FAST)_JWT_/.test(code)) return false
    if (NETWORK_FAULT.test(code)) return true
  }
  // A fetch with AbortSignal.timeout() rejects with one of these names.
  if (name === 'TimeoutError' || name === 'AbortError') return true
  if (typeof statusCode === 'number') return statusCode >= 500
  return isOutage(cause)
}
