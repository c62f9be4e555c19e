/**
 * The claims of your users. If you declare them once, they are the type of `socket.user` and of `user` in all hooks:
 * `declare module 'fastify-realtime' { interface FastifyRealtimeClaims { role: string } }`.
 */
// biome-ignore lint/suspicious/noEmptyInterface: applications merge their claims into it
export interface FastifyRealtimeClaims {}

/** The type of claims that the application has not declared. */
interface AnyClaims {
  readonly [claim: string]: unknown
}

interface RegisteredClaims {
  /** The id of the user, 1 to 256 characters. */
  readonly sub: string
  /** Seconds since 1970. */
  readonly exp?: number
}

/** Verified claims: those of a token, or the result of `auth.authenticate`. */
export type Claims = RegisteredClaims &
  (keyof FastifyRealtimeClaims extends never ? AnyClaims : Readonly<FastifyRealtimeClaims>)
