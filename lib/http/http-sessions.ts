import { randomBytes, timingSafeEqual } from 'node:crypto'
import type { Letter } from './mailbox.ts'

/** What became of commands: the session takes them, there is no such session, or too many of its commands wait. */
export type Delivery = 'delivered' | 'unknown' | 'full'

/** A connection whose client sends its commands by requests. */
export interface Addressee {
  readonly id: string
  readonly emulation: { readonly session: string }
  deliver(letter: Letter): Delivery
}

// Bytes. The secret is all that authorises a request with commands.
const SECRET_LENGTH = 16

/**
 * Makes the session of a connection: its id, which others may know, and a secret. The id finds the connection, so that
 * no secret is ever looked up in a table.
 */
export function makeSession(connection: string): string {
  return `${connection}.${randomBytes(SECRET_LENGTH).toString('base64url')}`
}

/** The sessions of this node whose transport is HTTP. */
export class HttpSessions {
  readonly #connections = new Map<string, Addressee>()

  add(connection: Addressee): void {
    this.#connections.set(connection.id, connection)
  }

  delete({ id }: Addressee): void {
    this.#connections.delete(id)
  }

  deliver(session: string, letter: Letter): Delivery {
    const connection = this.#connections.get(session.slice(0, session.indexOf('.')))
    if (connection === undefined || !isSame(session, connection.emulation.session)) return 'unknown'
    return connection.deliver(letter)
  }
}

/** Takes the same time wherever the texts differ. */
function isSame(given: string, expected: string): boolean {
  const one = Buffer.from(given)
  const other = Buffer.from(expected)
  return one.length === other.length && timingSafeEqual(one, other)
}
