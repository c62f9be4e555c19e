/** A token for anyone who asks, under any name. Rejects where the server is away. @returns {Promise<string>} */
export async function fetchToken(user) {
  const response = await fetch('/api/token', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ user })
  })
  if (!response.ok) throw new Error(`no token: HTTP ${response.status}`)
  const { token } = await response.json()
  return token
}
