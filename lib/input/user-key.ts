import { createHash } from 'node:crypto'

/**
 * Makes the idempotency key of a user from the key that a client gave, so that the keys of two users never collide.
 * @param user Undefined for anonymous clients, which share their keys.
 */
export function userKey(user: string | undefined, key: string): string {
  return createHash('sha256')
    .update(JSON.stringify([user ?? '', key]))
    .digest('base64url')
}
