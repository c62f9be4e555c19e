import t from 'tap'
import { RedisServer, until } from '../../support/redis-server.ts'
import { TcpProxy } from '../../support/tcp-proxy.ts'
import { bytes, dataOf, openRedisBroker } from './bench.ts'

const KEEP = { size: 10_000, ttl: 60_000 }
const server = await RedisServer.start(t)

t.test('case 99: pub/sub connections killed under traffic', async (t) => {
  const { broker, heard } = await openRedisBroker(t, { redis: server.url })
  const other = await openRedisBroker(t, { redis: server.url })
  await broker.subscribe('room')
  let published = 0
  for (let kills = 1; kills <= 5; kills++) {
    await server.admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
    while (heard.audits.length < kills) {
      await broker.publish('room', bytes(++published), { history: KEEP })
    }
  }
  const last = await broker.publish('room', bytes(++published), { history: KEEP })
  await heard.until(() => heard.publications.at(-1)?.offset === last.offset)
  const offsets = heard.publications.map(({ offset }) => offset)
  t.strictSame(
    offsets,
    [...offsets].sort((a, b) => a - b),
    'never out of order'
  )
  t.equal(new Set(offsets).size, offsets.length, 'none twice')
  t.ok(
    heard.audits.every((audit) => audit.includes('room')),
    'each gap is followed by an audit'
  )
  t.strictSame(
    dataOf(await broker.history('room', { limit: published })),
    Array.from({ length: published }, (_, n) => `${n + 1}`)
  )
  t.strictSame(heard.states, [true, ...Array.from({ length: 5 }, () => [false, true]).flat()])
  t.equal(other.broker.up, true)
})

t.test('case 101: the server’s buffer for a subscriber overflows', async (t) => {
  const { broker, heard } = await openRedisBroker(t, { redis: server.url })
  await broker.subscribe('room')
  await server.admin.config('SET', 'client-output-buffer-limit', 'pubsub 65536 0 0')
  t.teardown(() => server.admin.config('SET', 'client-output-buffer-limit', 'pubsub 33554432 8388608 60'))
  await broker.publish('room', bytes(`"${'x'.repeat(1 << 20)}"`), { history: KEEP })
  await heard.until(() => heard.audits.length > 0)
  t.equal((await broker.history('room', { limit: 9 })).publications.length, 1)
  await broker.publish('room', bytes(2), { history: KEEP })
  await heard.until(() => heard.data('room').includes('2'))
})

// How soon: test/broker/redis-probe.test.ts.
t.test('case 105: a deaf subscriber is found, and another put in its place', async (t) => {
  const proxy = await TcpProxy.start(t, server.port)
  const probeInterval = 400
  const { broker, heard } = await openRedisBroker(t, { redis: proxy.url, times: { probeInterval } })
  await broker.subscribe('room')
  proxy.eatReplies(/subscribe/i)
  await broker.publish('room', bytes(1), { history: KEEP })
  await heard.until(() => heard.audits.length > 0)
  t.strictSame(heard.audits[0], ['room'])
  t.strictSame(heard.states, [true], 'its successor took over without a gap to report')
  await until(async () => {
    await broker.publish('room', bytes(2), { history: KEEP })
    return heard.data('room').length > 0
  })
  t.strictSame(new Set(heard.data('room')), new Set(['2']))
})

t.test('subscribing and unsubscribing while the subscriber is replaced', async (t) => {
  const proxy = await TcpProxy.start(t, server.port)
  const { broker, heard } = await openRedisBroker(t, { redis: proxy.url, times: { probeInterval: 200 } })
  await broker.subscribe('gone')
  await broker.subscribe('kept')
  proxy.eatReplies(/subscribe/i)
  // Answered by the successor: the connection it is sent on says nothing any more.
  const late = broker.subscribe('late')
  await broker.unsubscribe('gone').catch(() => undefined)
  await late
  await heard.until(() => heard.audits.length > 0)
  // On a busy machine the successor may be taken for deaf as well, and what is published then has no history.
  await until(async () => {
    for (const room of ['gone', 'kept', 'late']) await broker.publish(room, bytes(1))
    return heard.data('kept').length > 0 && heard.data('late').length > 0
  })
  t.strictSame(heard.data('gone'), [])
})

t.test('a subscription that is not confirmed is none', async (t) => {
  const proxy = await TcpProxy.start(t, server.port)
  const { broker, heard } = await openRedisBroker(t, { redis: proxy.url })
  const eaten = proxy.eatReplies(/subscribe/i)
  const refused = t.rejects(broker.subscribe('room'), { code: 'FST_RT_UNAVAILABLE' })
  await eaten
  proxy.cut()
  await refused
  await heard.untilState(true, 3)
  await broker.publish('room', bytes(1))
  await broker.subscribe('room')
  await broker.publish('room', bytes(2))
  await heard.until(() => heard.publications.length > 0)
  t.strictSame(heard.data('room'), ['2'])
})
