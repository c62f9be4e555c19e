import { randomBytes } from 'node:crypto'
import { Registry } from 'prom-client'
import t from 'tap'
import { freshPrefix } from '../broker/redis/bench.ts'
import { buildApp } from '../support/app.ts'
import { connect } from '../support/connect.ts'
import { RedisServer } from '../support/redis-server.ts'

/* Somebody else publishes on the pub/sub channels of a node. */

const MALFORMED = [
  'ping',
  '',
  'p0,,x,0,{}',
  'p0,,1,0,{"of":"the version before"}',
  '1p0,,x:{}',
  '1pNaN,e,1:{}',
  '1p1,e,1,i99999:{}',
  '3p0,,1:{"of":"a version to come"}',
  '1x:{}',
  '1p0,,1:{"not":"finished"',
  '1p0,,1:1}}\n{"push":{}}',
  randomBytes(400),
  Buffer.alloc(10 * 1024 * 1024, 'x'),
  Buffer.concat([Buffer.from('1p0,,1:"'), Buffer.alloc(10 * 1024 * 1024, 'x'), Buffer.from('"')])
]

const server = await RedisServer.start(t)

for (const metrics of [new Registry(), undefined]) {
  t.test(`case 128: strangers on a channel, ${metrics ? 'with' : 'without'} metrics`, async (t) => {
    const prefix = freshPrefix()
    const { app, logs } = await buildApp(t, { auth: false, redis: server.url, prefix, ...(metrics && { metrics }) })
    app.ws('/news', async (socket) => {
      await socket.subscribe('news')
      socket.sendJson('ready')
      for await (const message of socket.messages()) await socket.publish('news', message)
    })
    const client = await connect(app, '/news')
    t.equal(await client.next(), 'ready')
    const wire = `${prefix}:{news}`
    for (const message of MALFORMED) t.equal(await server.admin.publish(wire, message), 1, 'the node receives it')
    client.send('next')
    t.strictSame(await client.next(), { channel: 'news', data: 'next' }, 'the subscriber sees nothing of them')

    const lines = logs.filter(({ msg }) => msg === 'message between nodes dropped')
    t.match(lines, [{ level: 40, kind: 'message', channel: 'news', times: 1 }])
    t.equal(lines.length, 1, 'a line a minute at most')
    if (metrics === undefined) return
    t.match(await metrics.metrics(), `realtime_node_messages_dropped_total{kind="message"} ${MALFORMED.length}\n`)
  })
}
