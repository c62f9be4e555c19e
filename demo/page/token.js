import { adminKey, forgetKey } from './admin-key.js'

const FORBIDDEN = 403

/**
 * A token for any visitor, under any name; with the administrator key, a token with the claim `admin`. Rejects if the
 * server is not available.
 *
 * @returns {Promise<string>}
 */
export async function fetchToken(user) {
  const key = adminKey()
  const response = await fetch('/api/token', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ user, key })
  })
  if (response.status === FORBIDDEN && key !== undefined) {
    // The key belongs to an earlier run of the demo.
    forgetKey()
    return fetchToken(user)
  }
  if (!response.ok) throw new Error(`The demo gave no token (HTTP ${response.status}).`)
  const { token } = await response.json()
  return token
}
