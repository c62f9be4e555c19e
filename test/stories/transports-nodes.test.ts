import type { Options } from 'centrifuge'
import t from 'tap'
import { createPublisher } from '../../lib/publisher.ts'
import { testToken } from '../../lib/testing/index.ts'
import { centrifuge, next, record } from '../support/centrifuge.ts'
import { type ChannelNode, startChannelNode } from '../support/channel-nodes.ts'
import { RedisServer } from '../support/redis-server.ts'
import { emulate } from '../support/stream-client.ts'
import { transportOptions } from '../support/transports.ts'

/* HTTP transports over two nodes without sticky sessions: commands always reach the other node. */

const redis = await RedisServer.start(t)
let prefixes = 0

for (const transport of ['http_stream', 'sse'] as const) {
  t.test(`${transport}: commands reach the session's node, and its end loses nothing`, async (t) => {
    const prefix = `transports${process.pid}-${prefixes++}`
    const [one, two] = (await Promise.all([
      startChannelNode(t, redis.url, prefix),
      startChannelNode(t, redis.url, prefix)
    ])) as [ChannelNode, ChannelNode]
    const publisher = await createPublisher({
      redis: redis.url,
      prefix,
      history: () => ({ size: 1_000, ttl: 60_000 })
    })
    t.teardown(() => publisher.close())
    const { endpoint, options } = transportOptions(transport, one.origin, two.origin)
    const onTwo = transportOptions(transport, two.origin)
    // The client takes the next address each time that it connects.
    const endpoints = [...endpoint, ...onTwo.endpoint]
    const client = centrifuge(
      t,
      endpoints as never,
      {
        ...options,
        token: testToken({ sub: 'ada' }),
        timeout: 5_000
      } as Partial<Options>
    )
    const context = next<{ data: unknown }>(client, 'connected')
    client.connect()
    await context
    const room = client.newSubscription('rooms/1', { joinLeave: true })
    room.subscribe()
    await room.ready()
    const heard = record(room)
    const pid = ((await client.rpc('whoami', null)).data as { pid: number }).pid
    t.equal(pid, one.process.pid, 'the session is on the first node')
    for (let at = 0; at < 20; at++) await room.publish(at)
    t.same(
      await heard.upTo(20),
      Array.from({ length: 20 }, (_, at) => at)
    )
    const body = JSON.stringify({ node: '7f85ef7e-ea23-4575-9f43-51bc2e0975a9', session: 'a.b', data: '{}' })
    t.equal((await emulate(two.origin, body)).status, 404, 'a node that does not exist')

    const reconnecting = next(client, 'connecting')
    one.process.kill('SIGKILL')
    await reconnecting
    // The first address does not answer any more.
    const proxied = client as unknown as { _endpoint: unknown; _transports: unknown[]; _currentTransportIndex: number }
    proxied._transports = onTwo.endpoint
    proxied._currentTransportIndex = 0
    for (let at = 20; at < 30; at++) await publisher.publish('rooms/1', at)
    t.same(
      await heard.upTo(30),
      Array.from({ length: 30 }, (_, at) => at)
    )
    t.equal(((await client.rpc('whoami', null)).data as { pid: number }).pid, two.process.pid)
  })
}
