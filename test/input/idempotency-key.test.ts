import t from 'tap'
import { checkIdempotencyKey } from '../../lib/input/idempotency-key.ts'

t.test('a key is a string of 1 to 255 bytes of UTF-8, or none at all', async (t) => {
  for (const key of [undefined, 'k', 'é'.repeat(127), 'x'.repeat(255), '\0', '😀']) {
    t.equal(checkIdempotencyKey(key), key)
  }
  for (const key of [null, '', 'x'.repeat(256), 'é'.repeat(128), '\ud800', 5, {}, ['k'], Buffer.from('k')]) {
    t.throws(() => checkIdempotencyKey(key), { code: 'FST_RT_INVALID_IDEMPOTENCY_KEY' })
  }
})
