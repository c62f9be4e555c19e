import type { FastifyInstance, FastifyRequest } from 'fastify'
import { cookieParsers, jwtNamespaces, jwtOf, jwtRequest, takesCallback } from '../dependencies.ts'
import { andThen, type Eventual, fromCallback } from '../input/eventual.ts'

/** True if @fastify/jwt can verify tokens, with `request.jwtVerify`. */
export function hasJwt(app: FastifyInstance): boolean {
  return app.hasRequestDecorator('jwtVerify') && jwtNamespaces(app).length < 2
}

/**
 * Verifies the token in the request's `Authorization` header with @fastify/jwt. Returns the claims that are in the
 * token, and not the result of the option `formatUser`.
 */
export function verifyByJwt(token: string, request: FastifyRequest): Eventual<unknown> {
  const { extractToken, onlyCookie } = jwtOf(request.server)?.options.verify ?? {}
  // If options are passed, @fastify/jwt makes a new verifier for each call, which doubles the time.
  const options = extractToken === undefined && onlyCookie !== true ? undefined : { extractToken: () => token }
  const verifier = jwtRequest(request)
  const verified = takesCallback(verifier.jwtVerify)
    ? fromCallback((done) => verifier.jwtVerify(options, done))
    : verifier.jwtVerify(options)
  return andThen(verified, () => claimsOf(token))
}

/** The claims in a token that was verified. */
function claimsOf(token: string): unknown {
  const start = token.indexOf('.') + 1
  return JSON.parse(Buffer.from(token.slice(start, token.indexOf('.', start)), 'base64url').toString())
}

/** The token in the cookie of @fastify/jwt. Empty if the cookie's signature is wrong. */
export function cookieToken(request: FastifyRequest): string | undefined {
  const { server, headers } = request
  const cookie = jwtOf(server)?.cookie
  if (cookie === undefined || headers.cookie === undefined) return undefined
  // `request.cookies` is not used, because @fastify/cookie may fill it in a later hook.
  const parsers = cookieParsers(server)
  const value = parsers.parseCookie(headers.cookie)[cookie.cookieName]
  if (value === undefined || !cookie.signed) return value
  return parsers.unsignCookie(value).value ?? ''
}
