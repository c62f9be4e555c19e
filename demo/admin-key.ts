import { createHash, timingSafeEqual } from 'node:crypto'

/** The log line that holds the address for the administrator's browser. */
export const OPEN_AS_ADMINISTRATOR = 'open this address to use the dashboard and "Break it"'

/** True if both keys are the same. The time that it takes does not depend on how much of them is the same. */
export function isSameKey(given: string, key: string): boolean {
  return timingSafeEqual(digest(given), digest(key))
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

/**
 * The address that makes a browser the demo's administrator. The key is in the fragment, which a browser never sends to
 * a server, so no access log holds it.
 *
 * @param listening A URL like `http://127.0.0.1:3000`
 */
export function adminAddress(listening: string, key: string): string {
  const address = new URL(listening)
  // If the server listens on every address, it prints an address that a browser can open.
  if (address.hostname === '0.0.0.0' || address.hostname === '[::]') address.hostname = '127.0.0.1'
  address.hash = `key=${key}`
  return address.href
}
