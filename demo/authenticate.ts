import createError from '@fastify/error'
import type { FastifyRequest } from 'fastify'

const UnauthorizedError = createError('UNAUTHORIZED', 'Unauthorized', 401)

/** An `onRequest` hook of HTTP routes. Every fault of a token gets the same answer, so that it helps no attacker. */
export async function authenticate(request: FastifyRequest): Promise<void> {
  try {
    await request.jwtVerify()
  } catch (err) {
    request.log.debug({ code: (err as { code?: string }).code }, 'token refused')
    throw new UnauthorizedError()
  }
  if (userOf(request) === undefined) throw new UnauthorizedError()
}

/** The user of a verified token. */
export function userOf({ user }: FastifyRequest): string | undefined {
  const { sub } = user as { sub?: unknown }
  return typeof sub === 'string' && sub !== '' ? sub : undefined
}

/** True if the demo gave a verified token for the administrator key. */
export function isAdmin({ user }: FastifyRequest): boolean {
  return (user as { admin?: unknown }).admin === true
}
