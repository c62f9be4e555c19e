import t from 'tap'
import { WebSocket } from 'ws'
import { type ConnectOptions, connect, type RealtimeClient } from '../../lib/client/index.ts'
import type { RealtimeOptions } from '../../lib/index.ts'
import { createPublisher } from '../../lib/publisher.ts'
import { testToken } from '../../lib/testing/index.ts'
import { buildApp } from '../support/app.ts'
import { RedisServer } from '../support/redis-server.ts'

/* The client against servers as applications write them. */

const history = { size: 1_000, ttl: 600_000 }

async function server(t: Parameters<typeof buildApp>[0], options: RealtimeOptions, port = 0) {
  const { app } = await buildApp(t, options)
  app.channel('rooms/:room', { history })
  app.ws(
    '/live',
    {
      queued: true,
      respond: async (data) => ({ answered: data, port: (app.server.address() as { port: number }).port })
    },
    async (socket) => {
      await socket.subscribe('rooms/tea')
      for await (const message of socket.messages()) {
        await socket.publish('rooms/tea', message, { idempotencyKey: socket.messageKey })
      }
    }
  )
  await app.listen({ port, host: '127.0.0.1' })
  return { app, port: (app.server.address() as { port: number }).port }
}

function start(t: { teardown(fn: () => unknown): void }, url: string, options: ConnectOptions = {}) {
  const client = connect<unknown, number>(url, { WebSocket, backoff: { first: 50, max: 200 }, ...options })
  t.teardown(() => client.close())
  const received: number[] = []
  const states: string[] = []
  client.on('publication', ({ data }) => received.push(data))
  client.on('state', (state) => states.push(state))
  return { client, received, states }
}

const event = <Name extends Parameters<RealtimeClient['on']>[0]>(client: RealtimeClient, name: Name) =>
  new Promise((resolve) => {
    const off = client.on(name, (value) => {
      off()
      resolve(value)
    })
  })

t.test('a break: what was missed comes first, and what was sent meanwhile is published once', async (t) => {
  const redis = await RedisServer.start(t)
  const first = await server(t, { auth: false, redis: redis.url, drain: { window: 0 } })
  const { client, received } = start(t, `ws://127.0.0.1:${first.port}/live`)
  const publisher = await createPublisher({ redis: redis.url, history: () => history })
  t.teardown(() => publisher.close())
  await client.request('ready?')
  await client.send(1)
  while (received.length < 1) await event(client, 'publication')

  const away = event(client, 'state')
  await first.app.close()
  await away
  t.equal(client.state, 'connecting')
  await publisher.publish('rooms/tea', 2)
  const sent = [3, 4].map((data) => client.send(data))
  await server(t, { auth: false, redis: redis.url, drain: { window: 0 } }, first.port)
  await Promise.all(sent)
  while (received.length < 4) await event(client, 'publication')
  t.same(received, [1, 2, 3, 4])
  t.match(await client.request('again'), { answered: 'again' })
})

t.test('a position from before the first publication is one', async (t) => {
  const redis = await RedisServer.start(t)
  const { app, port } = await server(t, { auth: false, redis: redis.url, drain: { window: 0 } })
  const { client, received } = start(t, `ws://127.0.0.1:${port}/live`)
  const publisher = await createPublisher({ redis: redis.url, history: () => history })
  t.teardown(() => publisher.close())
  await client.request('subscribed?')
  const away = event(client, 'state')
  await app.close()
  await away
  await publisher.publish('rooms/tea', 1)
  await server(t, { auth: false, redis: redis.url }, port)
  while (received.length < 1) await event(client, 'publication')
  t.same(received, [1])
})

t.test('a token that expires is replaced, and the client goes on', async (t) => {
  const { port } = await server(t, { auth: { refuse: 'close' } })
  const asked: boolean[] = []
  const token = ({ refused }: { refused: boolean }) => {
    asked.push(refused)
    return testToken({}, { expiresIn: refused ? 60_000 : -60_000 })
  }
  const { client, states } = start(t, `ws://127.0.0.1:${port}/live`, { token })
  t.match(await client.request(1), { answered: 1 })
  t.same(asked, [false, true])
  t.same(states, ['open'])

  const never = start(t, `ws://127.0.0.1:${port}/live`, { token: () => testToken({}, { expiresIn: -60_000 }) })
  t.match(await event(never.client, 'close'), { code: 4401 })
})

t.test('a drain: the other server takes over, and the client notices nothing', async (t) => {
  const redis = await RedisServer.start(t)
  const options = { auth: false, redis: redis.url } as const
  const old = await server(t, { ...options, drain: { window: 8_000, timeout: 20_000 } })
  const other = await server(t, options)
  // A load balancer, as far as the client can see one.
  let target = old.port
  class Balanced extends WebSocket {
    constructor(url: string, protocols: string[]) {
      super(url.replace(/:\d+/, `:${target}`), protocols)
    }
  }
  const { client, received, states } = start(t, 'ws://127.0.0.1:1/live', { WebSocket: Balanced as never })
  const publisher = await createPublisher({ redis: redis.url, history: () => history })
  t.teardown(() => publisher.close())
  t.match(await client.request(1), { port: old.port })
  target = other.port
  let published = 0
  let isOver = false
  const publishing = (async () => {
    while (!isOver) {
      await publisher.publish('rooms/tea', ++published)
      await new Promise(setImmediate)
    }
  })()
  const handover = event(client, 'open')
  const drained = old.app.close()
  t.same(await handover, { first: false })
  await drained
  isOver = true
  await publishing
  while (received.length < published) await event(client, 'publication')
  t.strictSame(
    received,
    Array.from({ length: published }, (_, i) => i + 1)
  )
  t.same(states, ['open'], 'there was no gap')
  t.match(await client.request(2), { port: other.port })
})
