import { test } from 'tap'
import { checkSameSite } from '../../lib/dashboard/same-site.ts'

const refused = { code: 'FST_RT_CROSS_SITE', statusCode: 403 }

test('requests of other sites are refused', async (t) => {
  const passes = [
    {},
    { 'sec-fetch-site': 'same-origin', origin: 'https://behind.a.proxy' },
    { origin: 'http://Example.com:3000' }
  ]
  for (const headers of passes) checkSameSite(headers, 'example.com:3000')
  const wrong = [
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site', origin: 'http://example.com:3000' },
    { 'sec-fetch-site': 'none' },
    { origin: 'http://example.com' },
    { origin: 'null' }
  ]
  for (const headers of wrong) t.throws(() => checkSameSite(headers, 'example.com:3000'), refused)
})
