import fc from 'fast-check'
import t from 'tap'
import { redisSlot } from '../../../lib/broker/redis/slot.ts'

/* Against a server itself: test/broker/redis-cluster.test.ts. */

/** The same by hand: the remainder of x^16 + x^12 + x^5 + 1, bit by bit. */
function byHand(key: string): number {
  let remainder = 0
  for (const byte of Buffer.from(key)) {
    for (let bit = 7; bit >= 0; bit--) {
      const top = (remainder >> 15) ^ ((byte >> bit) & 1)
      remainder = ((remainder << 1) & 0xffff) ^ (top ? 0x1021 : 0)
    }
  }
  return remainder % 16_384
}

t.test('as the cluster specification has it', async (t) => {
  t.equal(redisSlot('123456789'), 0x31c3, 'the check value of CRC-16/XMODEM')
  t.equal(redisSlot('foo'), 12_182)
  t.equal(redisSlot(''), 0)
})

t.test('what stands in the first braces, where something does', async (t) => {
  const foo = redisSlot('foo')
  for (const key of ['{foo}', 'a{foo}b', '{foo}{bar}', '{foo}}', 'x}{foo}']) t.equal(redisSlot(key), foo, key)
  t.equal(redisSlot('foo{{bar}}zap'), redisSlot('{bar'))
  for (const key of ['foo{}', '{}foo', '{foo', 'foo}', '{}{foo}'])
    t.equal(redisSlot(key), byHand(key), `${key}: as a whole`)
})

t.test('bytes count, not characters', async (t) => {
  const whole = fc.string({ unit: 'grapheme' }).filter((key) => !key.includes('{'))
  fc.assert(fc.property(whole, (key) => redisSlot(key) === byHand(key)))
  t.equal(redisSlot('ü'), byHand('ü'))
})
