import { createHash } from 'node:crypto'

/**
 * A user's own idempotency key for one that a client gave: another user's of the same name is another key.
 * @param user Undefined for anonymous clients, who share their keys.
 */
export function userKey(user: string | undefined, key: string): string {
  return createHash('sha256')
    .update(JSON.stringify([user ?? '', key]))
    .digest('base64url')
}
