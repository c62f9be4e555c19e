import { test } from 'tap'
import { KeyGuard } from '../../lib/dashboard/key-guard.ts'

const KEY = 'a-key-of-many-characters'
const bearer = (key: string) => ({ authorization: `Bearer ${key}` })
const unauthorized = { code: 'FST_RT_UNAUTHORIZED', statusCode: 401 }
const limited = { code: 'FST_RT_TOO_MANY_GUESSES', statusCode: 429 }

test('the key, and nothing else', async (t) => {
  const guard = new KeyGuard(KEY)
  guard.check(bearer(KEY), '10.0.0.1')
  guard.check({ authorization: `bearer  ${KEY}` }, '10.0.0.1')
  for (const headers of [
    {},
    { authorization: KEY },
    bearer(`${KEY}x`),
    bearer(''),
    { authorization: `Basic ${KEY}` }
  ]) {
    t.throws(() => guard.check(headers, '10.0.0.1'), unauthorized, JSON.stringify(headers))
  }
})

test('an address may guess ten times, then once every six seconds', async (t) => {
  let now = 0
  const guard = new KeyGuard(KEY, () => now)
  for (let guess = 0; guess < 11; guess++) t.throws(() => guard.check(bearer('wrong'), '2001:db8::1'), unauthorized)
  t.throws(() => guard.check(bearer('wrong'), '2001:db8::2'), limited, 'of one network')
  t.throws(() => guard.check(bearer(KEY), '2001:db8::1'), limited, 'a right guess would not be told apart')
  t.throws(() => guard.check({}, '2001:db8::1'), unauthorized, 'no key is no guess')
  guard.check(bearer(KEY), '10.0.0.1')
  now = 6_000
  guard.check(bearer(KEY), '2001:db8::1')
})

test('the addresses are bounded', async (t) => {
  const guard = new KeyGuard(KEY, () => 0)
  const guess = (address: string) => t.throws(() => guard.check(bearer('wrong'), address), unauthorized)
  for (let times = 0; times < 11; times++) guess('first')
  t.throws(() => guard.check(bearer('wrong'), 'first'), limited)
  for (let at = 0; at < 1_000; at++) guess(`10.0.${at >> 8}.${at & 255}`)
  guess('first')
})
