import { createRequire, register } from 'node:module'
import type { Redis } from 'ioredis'
import t from 'tap'
import { MemoryBroker } from '../../lib/broker/memory/memory-broker.ts'
import { RedisBroker } from '../../lib/broker/redis/redis-broker.ts'
import { makeBroker } from '../../lib/node/make-broker.ts'
import { DEFAULTS } from '../../lib/options/options.ts'
import { freshPrefix } from '../broker/redis/bench.ts'
import { RedisServer } from '../support/redis-server.ts'

/* From here on no module can import ioredis; what is here already keeps it. */

const { Redis: Client } = createRequire(import.meta.url)('ioredis') as { Redis: typeof Redis }
const REFUSED = `
export async function resolve(specifier, context, next) {
  if (specifier === 'ioredis') throw new Error('ioredis was imported')
  return next(specifier, context)
}`
register(`data:text/javascript,${encodeURIComponent(REFUSED)}`)

const { limits } = DEFAULTS
const refused = () => undefined

t.test('without redis there is one in memory, and ioredis is not loaded', async (t) => {
  t.type(await makeBroker({ redis: undefined, prefix: 'a', limits }, refused), MemoryBroker)
})

t.test('a client of the application makes the others, and ioredis is not loaded', async (t) => {
  const server = await RedisServer.start(t)
  const redis = new Client(server.url, { lazyConnect: true })
  t.teardown(() => redis.disconnect())
  const broker = await makeBroker({ redis, prefix: freshPrefix(), limits }, refused)
  t.teardown(() => broker.close())
  t.type(broker, RedisBroker)
  await (broker as RedisBroker).start()
  const history = { size: 1, ttl: 1_000 }
  t.match(await broker.publish('room', Buffer.from('1'), { history }), { offset: 1 })
  t.equal(redis.status, 'wait', 'it is left alone')
})

t.test('a URL needs ioredis', async (t) => {
  const made = makeBroker({ redis: 'redis://127.0.0.1:1', prefix: 'a', limits }, refused)
  await t.rejects(made, { message: 'ioredis was imported' })
})
