import createError from '@fastify/error'
import type { FastifyRequest } from 'fastify'

const UnauthorizedError = createError('UNAUTHORIZED', 'Unauthorized', 401)

/** An `onRequest` hook of HTTP routes. However a token is wrong, the answer is the same: it helps nobody to guess. */
export async function authenticate(request: FastifyRequest): Promise<void> {
  try {
    await request.jwtVerify()
  } catch (err) {
    request.log.debug({ code: (err as { code?: string }).code }, 'token refused')
    throw new UnauthorizedError()
  }
  if (userOf(request) === undefined) throw new UnauthorizedError()
}

/** The user a verified token was made out to. */
export function userOf({ user }: FastifyRequest): string | undefined {
  const { sub } = user as { sub?: unknown }
  return typeof sub === 'string' && sub !== '' ? sub : undefined
}

/** True if a verified token was given for the administrator key. */
export function isAdmin({ user }: FastifyRequest): boolean {
  return (user as { admin?: unknown }).admin === true
}
