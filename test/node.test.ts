import t from 'tap'
import { atLeast, buildApp } from './support/app.ts'
import { RedisServer, until } from './support/redis-server.ts'

t.test('a Redis that comes late, and refuses for good, is an error in the log', async (t) => {
  const redis = await RedisServer.start(t, { requirepass: 'secret' })
  await redis.kill()
  const { app, logs } = await buildApp(t, { redis: redis.url, auth: false })
  await app.ready()
  t.equal(app.realtime.ready(), false)
  t.match(atLeast(logs, 'warn'), [{ msg: 'broker is away' }])
  await redis.restart()
  await until(() => atLeast(logs, 'error').length > 0)
  t.match(atLeast(logs, 'error'), [{ msg: 'broker cannot be used' }])
  t.notOk(JSON.stringify(logs).includes('secret'))
})

t.test('an end that comes before a Redis that is away is no error', async (t) => {
  const redis = await RedisServer.start(t)
  await redis.kill()
  const { app, logs } = await buildApp(t, { redis: redis.url, auth: false })
  await app.ready()
  await app.close()
  t.strictSame(atLeast(logs, 'error'), [])
})
