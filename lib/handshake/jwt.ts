import type { FastifyInstance, FastifyRequest } from 'fastify'

/*
 * What this package uses of @fastify/jwt. Its own types leave out `extractToken` in a call, and what `app.jwt` holds of
 * namespaces.
 */

interface JwtDecorator {
  readonly options: {
    readonly verify: {
      readonly extractToken?: unknown
      readonly onlyCookie?: boolean
      readonly allowedIss?: unknown
      readonly allowedAud?: unknown
      readonly clockTolerance?: number
    }
    /** The property of a request that holds the user. */
    readonly decoratorName: string
  }
  readonly cookie?: { readonly cookieName: string; readonly signed: boolean }
}

interface JwtRequest {
  jwtVerify(options?: { extractToken: () => string }): Promise<unknown>
}

/** Whether @fastify/jwt is there to verify tokens, as `request.jwtVerify`. */
export function hasJwt(app: FastifyInstance): boolean {
  return app.hasRequestDecorator('jwtVerify') && jwtNamespaces(app).length < 2
}

/** The namespaces of an @fastify/jwt that has nothing but namespaces; else empty. */
export function jwtNamespaces(app: FastifyInstance): string[] {
  const { jwt } = app as { jwt?: object }
  return jwt === undefined || 'options' in jwt ? [] : Object.keys(jwt)
}

/** What `request.jwtVerify` of an instance goes by; undefined if that cannot be known. */
export function jwtOf(app: FastifyInstance): JwtDecorator | undefined {
  const { jwt } = app as unknown as { jwt?: JwtDecorator & Record<string, JwtDecorator> }
  const [namespace, ...others] = jwtNamespaces(app)
  if (namespace === undefined) return jwt
  // One of them was given the name jwtVerify; of several nobody can say which.
  return others.length === 0 ? jwt?.[namespace] : undefined
}

/**
 * Has @fastify/jwt verify a token that it finds in the request's `Authorization` header. Gives the token's own claims,
 * whatever `formatUser` makes of them.
 */
export async function verifyByJwt(token: string, request: FastifyRequest): Promise<unknown> {
  const { extractToken, onlyCookie } = jwtOf(request.server)?.options.verify ?? {}
  const jwtRequest = request as unknown as JwtRequest
  // Options of its own make it build a verifier for each call, at twice the price.
  if (extractToken === undefined && onlyCookie !== true) await jwtRequest.jwtVerify()
  else await jwtRequest.jwtVerify({ extractToken: () => token })
  return JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString())
}

/** The token in the cookie that @fastify/jwt was registered with; empty if its signature is wrong. */
export function cookieToken(request: FastifyRequest): string | undefined {
  const { server, headers } = request
  const cookie = jwtOf(server)?.cookie
  if (cookie === undefined || headers.cookie === undefined) return undefined
  // Not `request.cookies`: @fastify/cookie may fill it in a later hook.
  const { parseCookie } = server as unknown as { parseCookie(header: string): Record<string, string | undefined> }
  const value = parseCookie(headers.cookie)[cookie.cookieName]
  if (value === undefined || !cookie.signed) return value
  const { unsignCookie } = server as unknown as { unsignCookie(value: string): { value: string | null } }
  return unsignCookie(value).value ?? ''
}
