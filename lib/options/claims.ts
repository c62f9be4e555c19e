/**
 * The claims of your users. Declare them once, and they are the type of `socket.user` and of `user` in all hooks:
 * `declare module 'fastify-realtime' { interface FastifyRealtimeClaims { role: string } }`.
 */
// biome-ignore lint/suspicious/noEmptyInterface: it is there to be merged into
export interface FastifyRealtimeClaims {}

/** Claims that nobody has declared. */
interface AnyClaims {
  readonly [claim: string]: unknown
}

interface RegisteredClaims {
  /** The user: 1 to 256 characters. */
  readonly sub: string
  /** Seconds since 1970. */
  readonly exp?: number
}

/** Verified claims: a token's, or what `auth.authenticate` returned. */
export type Claims = RegisteredClaims &
  (keyof FastifyRealtimeClaims extends never ? AnyClaims : Readonly<FastifyRealtimeClaims>)
