import fc from 'fast-check'
import t from 'tap'
import { RedisKeys } from '../../../lib/broker/redis/keys.ts'
import { redisSlot } from '../../../lib/broker/redis/slot.ts'

const name = fc.oneof(fc.string({ minLength: 1 }), fc.stringMatching(/^[{}%:a*]{1,6}$/))

function everyKey(keys: RedisKeys, name: string): string[] {
  return [...Object.values(keys.channel(name)), ...keys.presence(name), keys.lease(name), keys.tokens(name)]
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
  t.strictSame(keys.channel('boards/{1}'), {
    topic: 'realtime:@2:{boards/%7B1%7D}',
    meta: 'realtime:{boards/%7B1%7D}:meta',
    stream: 'realtime:{boards/%7B1%7D}:stream',
    answers: 'realtime:{boards/%7B1%7D}:once',
    expiries: 'realtime:{boards/%7B1%7D}:onces'
  })
  t.equal(keys.channel('a%b').topic, 'realtime:@2:{a%25b}', 'pub/sub knows no databases')
})

t.test('the names of a channel are made once, as long as few other channels are used', async (t) => {
  const keys = new RedisKeys('realtime')
  const names = keys.channel('a')
  t.equal(keys.channel('a'), names)
  for (let n = 0; n < 1_000; n++) keys.channel(`${n}`)
  t.not(keys.channel('a'), names, 'the number of channels that are remembered is bounded')
  t.strictSame(keys.channel('a'), names)
})
