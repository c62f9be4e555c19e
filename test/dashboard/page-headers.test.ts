import { test } from 'tap'
import { HEADERS } from '../../lib/dashboard/page-headers.ts'

test('the policy allows the page’s own files and nothing inline', async (t) => {
  const policy = String(HEADERS['content-security-policy'])
  t.notMatch(policy, /unsafe|https?:|\*|data:|blob:/)
  t.match(policy, /^default-src 'none'; /)
  t.match(policy, /frame-ancestors 'none'/)
  t.equal(HEADERS['cache-control'], 'no-store')
})
