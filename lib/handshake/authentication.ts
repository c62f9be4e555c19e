import type { FastifyInstance, FastifyRequest } from 'fastify'
import { KeysUnavailableError, UnauthorizedError } from '../errors.ts'
import type { Claims, ResolvedAuth } from '../options.ts'

/*
 * A token's verification is @fastify/jwt's, as the application configured it; this adds what its defaults leave open
 * (measured: no exp, exp 1e300, sub as an object and missing iss or aud are all accepted) and makes every failure one
 * and the same 401, since the libraries also answer 400 and 500.
 */

// What @fastify/jwt adds to Fastify, of which this package uses so much; its own types leave out extractToken here.
interface JwtOptions {
  extractToken?: unknown
  onlyCookie?: boolean
  allowedIss?: unknown
  allowedAud?: unknown
  clockTolerance?: number
}
interface JwtInstance {
  readonly jwt?: { readonly options?: { readonly verify?: JwtOptions } }
}
interface JwtRequest {
  jwtVerify(options?: { extractToken: () => string }): Promise<unknown>
}

const MAX_SUB_LENGTH = 256
// Past this a date is in milliseconds, or no date: the year 5138 in seconds, 1973 in milliseconds.
const MAX_EXP = 1e11
// Clocks of two machines differ: a token minted a moment ahead of us is no forgery.
const SKEW_SECONDS = 5

/** What is wrong with the claims of a token that is otherwise good. Its message is ours, and may be logged. */
export class ClaimError extends Error {
  /** True where nothing is wrong but the time. */
  readonly expired: boolean

  constructor(message: string, expired = false) {
    super(message)
    this.expired = expired
  }
}

// What @fastify/jwt, fast-jwt and jose call it.
const EXPIRED = new Set<unknown>(['FST_JWT_AUTHORIZATION_TOKEN_EXPIRED', 'FAST_JWT_EXPIRED', 'ERR_JWT_EXPIRED'])

/** True for a rejection of `verifyToken` where the token was good once: its owner may fetch a new one. */
export function isExpired(error: unknown): boolean {
  const { cause } = error as { cause?: { code?: unknown; expired?: unknown } }
  return cause instanceof ClaimError ? cause.expired : EXPIRED.has(cause?.code)
}

/** Whether @fastify/jwt is there to verify tokens. */
export function hasJwt(app: FastifyInstance): boolean {
  return app.hasRequestDecorator('jwtVerify')
}

/**
 * Verifies a token. Rejects with `FST_RT_UNAUTHORIZED` whatever is wrong with it, or with `FST_RT_KEYS_UNAVAILABLE`
 * where its key can't be had; `cause` says more, and is not for the peer.
 */
export async function verifyToken(token: string, request: FastifyRequest, auth: ResolvedAuth): Promise<Claims> {
  let claims: unknown
  try {
    if (auth.verify !== undefined) claims = await auth.verify(token, request)
    else {
      await jwtVerify(token, request)
      claims = JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString())
    }
  } catch (cause) {
    throw Object.assign(isOutage(cause) ? new KeysUnavailableError() : new UnauthorizedError(), { cause })
  }
  // What @fastify/jwt was told of issuers and audiences concerns the tokens that it verifies.
  const options = auth.verify === undefined ? jwtOptions(request) : {}
  const fault = claimFault(claims, auth.requiredClaims, options, Date.now() / 1000)
  if (fault !== undefined)
    throw Object.assign(new UnauthorizedError(), { cause: new ClaimError(fault, isPast(claims)) })
  return claims as Claims
}

function isPast(claims: unknown): boolean {
  const exp = (claims as { exp?: unknown } | null)?.exp
  return typeof exp === 'number' && exp <= Date.now() / 1000
}

function jwtOptions(request: FastifyRequest): JwtOptions {
  return (request.server as JwtInstance).jwt?.options?.verify ?? {}
}

function jwtVerify(token: string, request: FastifyRequest): Promise<unknown> {
  const jwtRequest = request as unknown as JwtRequest
  const { extractToken, onlyCookie } = jwtOptions(request)
  if (extractToken !== undefined || onlyCookie === true) return jwtRequest.jwtVerify({ extractToken: () => token })
  // Options of its own make it build a verifier for each call, at twice the price. It reads the header right away.
  const { headers } = request
  const { authorization } = headers
  headers.authorization = `Bearer ${token}`
  try {
    return jwtRequest.jwtVerify()
  } finally {
    if (authorization === undefined) delete headers.authorization
    else headers.authorization = authorization
  }
}

const NETWORK_FAULT = /^(E[A-Z]+|EAI_[A-Z]+|UND_ERR_[A-Z_]+)$/

/** True for what fetching a key throws where the network or the other side is at fault, not the token. */
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

/** What is wrong with verified claims, for the log; undefined where nothing is. */
export function claimFault(
  claims: unknown,
  required: readonly string[],
  options: JwtOptions,
  now: number
): string | undefined {
  if (typeof claims !== 'object' || claims === null) return 'no claims'
  const { sub, exp, iat } = claims as Record<string, unknown>
  const wanted = [...required]
  if (options.allowedIss !== undefined) wanted.push('iss')
  if (options.allowedAud !== undefined) wanted.push('aud')
  for (const name of wanted) {
    if (!Object.hasOwn(claims, name)) return `claim ${name} is missing`
  }
  if (sub !== undefined && (typeof sub !== 'string' || sub === '' || sub.length > MAX_SUB_LENGTH)) {
    return 'claim sub is not a string of 1 to 256 characters'
  }
  if (exp !== undefined && !(typeof exp === 'number' && exp > now && exp < MAX_EXP)) {
    return 'claim exp is not a time to come, in seconds'
  }
  const skew = Math.max(SKEW_SECONDS, (options.clockTolerance ?? 0) / 1000)
  if (iat !== undefined && !(typeof iat === 'number' && iat <= now + skew)) return 'claim iat is in the future'
  return undefined
}
