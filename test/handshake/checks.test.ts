import t from 'tap'
import { allowOrigin } from '../../lib/handshake/checks.ts'

/* The other checks are tested with admission.ts, which runs them. */

t.test('an origin that was accepted may read the answer', async (t) => {
  const allow = (origin: string | undefined, given: Record<string, string> = {}) => {
    const headers = { ...given }
    const reply = {
      hasHeader: (name: string) => name in headers,
      getHeader: (name: string) => headers[name],
      header: (name: string, value: string) => {
        headers[name] = value
      }
    }
    allowOrigin({ request: { headers: { origin } }, reply } as never)
    return headers
  }
  const origin = 'https://a.example'
  t.same(allow(undefined), {})
  t.same(allow(origin), { 'access-control-allow-origin': origin, vary: 'Origin' })
  t.same(allow(origin, { vary: 'Accept' }), { 'access-control-allow-origin': origin, vary: 'Accept, Origin' })
  const own = { 'access-control-allow-origin': '*' }
  t.same(allow(origin, own), own)
})
