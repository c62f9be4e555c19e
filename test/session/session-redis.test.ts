import t from 'tap'
import { buildApp } from '../support/app.ts'
import { RedisServer } from '../support/redis-server.ts'
import { Speaker } from '../support/speaker.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'

/* Sessions on two nodes, with a Redis between them that one of them reaches through a proxy. */

const COUNT = 50

const server = await RedisServer.start(t)

for (const history of [undefined, { size: 100, ttl: 60_000 }]) {
  t.test(`publishes of one client wait for no answer of Redis, ${history ? 'with' : 'without'} history`, async (t) => {
    const proxy = await TcpProxy.start(t, server.port)
    const node = async (redis: string) => {
      const { app } = await buildApp(t, { auth: false, redis, prefix: `session${history ? 1 : 0}` })
      app.channel('room', { history, onSubscribe: true, onPublish: async () => undefined })
      app.channel('other', { onPublish: true, publishers: 'clients' })
      return Speaker.open(app)
    }
    const [near, far] = [await node(server.url), await node(proxy.url)]
    for (const client of [near, far]) await client.call({ subscribe: { channel: 'room' } })
    // Its answer shows that the connection for commands is up.
    await far.call({ publish: { channel: 'other', data: 1 } })
    const numbers = Array.from({ length: COUNT }, (_, n) => n)
    proxy.hold('from')
    far.send(...numbers.map((n) => ({ id: 100 + n, publish: { channel: 'room', data: n } })))
    const received: unknown[] = []
    for (const _ of numbers) received.push(await near.next())
    t.match(
      received,
      numbers.map((n) => ({ push: { pub: { data: n, ...(history && { offset: n + 1 }) } } })),
      'all of them were published, in their order, before the first was answered'
    )
    proxy.release()
    const answers: number[] = []
    while (answers.length < COUNT) {
      const line = await far.next<{ id?: number; publish?: object }>()
      if (line.id !== undefined) answers.push(line.id)
    }
    t.same(
      answers,
      numbers.map((n) => 100 + n),
      'and each was answered'
    )
  })
}
