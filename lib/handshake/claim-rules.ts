import { RefusalReason } from './refusal-reason.ts'

/*
 * The rules for claims, besides a valid signature. Tests showed that @fastify/jwt accepts a missing exp, exp 1e300, sub
 * as an object, and a missing iss or aud.
 */

const MAX_SUB_LENGTH = 256
// A larger value is in milliseconds, or not a date: 1e11 is the year 5138 in seconds, and 1973 in milliseconds.
const MAX_EXP = 1e11
// The clocks of two machines differ, so `iat` may be slightly in the future.
const SKEW_SECONDS = 5

/** What is wrong with the claims of a token that has a valid signature. */
class ClaimError extends RefusalReason {
  /** True if the token has expired and nothing else is wrong. */
  readonly expired: boolean

  constructor(message: string, expired = false) {
    super(message)
    this.expired = expired
  }
}

// The codes of an expired token in @fastify/jwt, fast-jwt and jose.
const EXPIRED = new Set<unknown>(['FST_JWT_AUTHORIZATION_TOKEN_EXPIRED', 'FAST_JWT_EXPIRED', 'ERR_JWT_EXPIRED'])

/** True if a token was refused only because it has expired. The client may then fetch a new one. */
export function isExpired(error: unknown): boolean {
  const { cause } = error as { cause?: { code?: unknown; expired?: unknown } }
  return cause instanceof ClaimError ? cause.expired : EXPIRED.has(cause?.code)
}

export interface ClaimRules {
  readonly required: readonly string[]
  /** Milliseconds. */
  readonly clockTolerance?: number | undefined
  /** If false, a token with the claim `channel` is refused: it is valid for a subscription only. */
  readonly subscription?: boolean
}

/** Throws `ClaimError` if verified claims break the rules. `now` is in seconds since 1970. */
export function checkClaims(claims: unknown, rules: ClaimRules, now: number): void {
  if (typeof claims !== 'object' || claims === null) throw new ClaimError('no claims')
  const { sub, exp, iat, channel } = claims as Record<string, unknown>
  for (const name of rules.required) {
    if (!Object.hasOwn(claims, name)) throw new ClaimError(`claim ${name} is missing`)
  }
  if (sub !== undefined && (typeof sub !== 'string' || sub === '' || sub.length > MAX_SUB_LENGTH)) {
    throw new ClaimError('claim sub is not a string of 1 to 256 characters')
  }
  if (exp !== undefined && !(typeof exp === 'number' && exp > now && exp < MAX_EXP)) {
    throw new ClaimError('claim exp is not a time to come, in seconds', typeof exp === 'number' && exp <= now)
  }
  const skew = Math.max(SKEW_SECONDS, (rules.clockTolerance ?? 0) / 1000)
  if (iat !== undefined && !(typeof iat === 'number' && iat <= now + skew)) {
    throw new ClaimError('claim iat is in the future')
  }
  if (rules.subscription === false && channel !== undefined) {
    throw new ClaimError('claim channel: the token is for a subscription, not for a connection')
  }
}
