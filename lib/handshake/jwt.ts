import type { FastifyInstance, FastifyRequest } from 'fastify'
import { cookieParsers, jwtNamespaces, jwtOf, jwtRequest } from '../dependencies.ts'
import { andThen, type Eventual, fromCallback } from '../input/eventual.ts'

/** Whether @fastify/jwt is there to verify tokens, as `request.jwtVerify`. */
export function hasJwt(app: FastifyInstance): boolean {
  return app.hasRequestDecorator('jwtVerify') && jwtNamespaces(app).length < 2
}

/**
 * Has @fastify/jwt verify a token that it finds in the request's `Authorization` header. Gives the token's own claims,
 * whatever `formatUser` makes of them.
 */
export function verifyByJwt(token: string, request: FastifyRequest): Eventual<unknown> {
  const { extractToken, onlyCookie } = jwtOf(request.server)?.options.verify ?? {}
  // Options of its own make it build a verifier for each call, at twice the price.
  const options = extractToken === undefined && onlyCookie !== true ? undefined : { extractToken: () => token }
  const verified = fromCallback((done) => jwtRequest(request).jwtVerify(options, done))
  return andThen(verified, () => JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString()))
}

/** The token in the cookie that @fastify/jwt was registered with; empty if its signature is wrong. */
export function cookieToken(request: FastifyRequest): string | undefined {
  const { server, headers } = request
  const cookie = jwtOf(server)?.cookie
  if (cookie === undefined || headers.cookie === undefined) return undefined
  // Not `request.cookies`: @fastify/cookie may fill it in a later hook.
  const parsers = cookieParsers(server)
  const value = parsers.parseCookie(headers.cookie)[cookie.cookieName]
  if (value === undefined || !cookie.signed) return value
  return parsers.unsignCookie(value).value ?? ''
}
