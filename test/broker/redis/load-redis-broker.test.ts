import { Redis } from 'ioredis'
import t from 'tap'
import { loadRedisBroker } from '../../../lib/broker/redis/load-redis-broker.ts'
import { RedisBroker } from '../../../lib/broker/redis/redis-broker.ts'

t.test('from a URL, and from a client', async (t) => {
  const client = new Redis({ lazyConnect: true })
  t.teardown(() => client.disconnect())
  for (const redis of ['redis://127.0.0.1:1', client]) t.type(await loadRedisBroker({ redis }), RedisBroker)
})

t.test('what is neither is refused', async (t) => {
  await t.rejects(loadRedisBroker({ redis: 5 as never }), { code: 'FST_RT_INVALID_OPTION' })
})
