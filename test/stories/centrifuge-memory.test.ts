import t from 'tap'
import { ChannelError } from '../../lib/index.ts'
import { testToken } from '../../lib/testing/index.ts'
import { atLeast, buildApp } from '../support/app.ts'
import { centrifuge, endpointOf, next, record, withToken } from '../support/centrifuge.ts'

/* The published client against one process. */

const history = { size: 100, ttl: 60_000 }

t.test('connect with a token, subscribe, publish, and recover', async (t) => {
  const { app, logs } = await buildApp(t)
  app.channel('rooms/:room', { history, onPublish: () => undefined })
  const url = await endpointOf(app)
  const client = centrifuge(t, url, { token: testToken({ sub: 'ada' }) })
  client.connect()
  const connected = await next(client, 'connected')
  t.match(connected, { client: String, transport: 'websocket' })
  const subscription = client.newSubscription('rooms/1')
  const heard = record(subscription)
  subscription.subscribe()
  t.match(await next(subscription, 'subscribed'), { recoverable: true, positioned: true, wasRecovering: false })
  await subscription.publish({ n: 1 })
  await client.publish('rooms/1', { n: 2 })
  t.same(await heard.upTo(2), [{ n: 1 }, { n: 2 }])

  const again = next(subscription, 'subscribed')
  for (const { id } of app.realtime.connections()) {
    await app.realtime.disconnect({ connection: id }, { code: 3000, reason: 'again' })
  }
  await app.realtime.publish('rooms/1', { n: 3 })
  t.match(await again, { wasRecovering: true, recovered: true, hasRecoveredPublications: true })
  await app.realtime.publish('rooms/1', { n: 4 })
  t.same(await heard.upTo(4), [{ n: 1 }, { n: 2 }, { n: 3 }, { n: 4 }])
  t.same(atLeast(logs, 'warn'), [])
})

void ChannelError
void withToken
