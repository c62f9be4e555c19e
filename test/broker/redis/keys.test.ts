import fc from 'fast-check'
import t from 'tap'
import { RedisKeys } from '../../../lib/broker/redis/keys.ts'
import { redisSlot } from '../../../lib/broker/redis/slot.ts'

const name = fc.oneof(fc.string({ minLength: 1 }), fc.stringMatching(/^[{}%:a*]{1,6}$/))

function everyKey(keys: RedisKeys, name: string): string[] {
  return [
    keys.wire(name),
    keys.meta(name),
    keys.stream(name),
    ...keys.idempotency(name),
    ...keys.presence(name),
    keys.lease(name),
    keys.tokens(name)
  ]
}

t.test('no two names share a key, nor a key and a channel (case 73)', async () => {
  const keys = new RedisKeys('realtime')
  fc.assert(
    fc.property(name, name, (one, other) => {
      fc.pre(one !== other)
      const all = new Set([...everyKey(keys, one), ...everyKey(keys, other), keys.probe('n', one)])
      return all.size === 2 * 10 + 1
    })
  )
})

t.test('all of a name is in one slot', async () => {
  const keys = new RedisKeys('realtime')
  fc.assert(fc.property(name, (name) => new Set(everyKey(keys, name).map(redisSlot)).size === 1))
})

t.test('how they read', async (t) => {
  const keys = new RedisKeys('realtime', 2)
  t.equal(keys.meta('boards/{1}'), 'realtime:{boards/%7B1%7D}:meta')
  t.equal(keys.wire('a%b'), 'realtime:@2:{a%25b}', 'pub/sub knows no databases')
})
