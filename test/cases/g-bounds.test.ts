import t from 'tap'
import { connect, testToken } from '../../lib/testing/index.ts'
import { buildApp } from '../support/app.ts'

/* Bounds in bytes, and on how often. The numbers are those of the list of cases. */

const MIB = 1024 * 1024

/** A client of the channel protocol that has connected. */
async function channelClient(app: Parameters<typeof connect>[0]) {
  const client = await connect(app, '/connection/websocket', { token: testToken() })
  let id = 1
  const call = async (command: object): Promise<Record<string, unknown>> => {
    client.send({ id: ++id, ...command })
    return client.next()
  }
  client.send({ id: 1, connect: {} })
  await client.next()
  return { client, call }
}

t.test('case 134: 1 MB after 1 MB to 50 channels takes no more memory than the total', async (t) => {
  // The heap of earlier tests must not count: what is kept are buffers, which the process counts by themselves.
  const { app } = await buildApp(t, { limits: { memoryHistory: 32 * MIB } })
  app.channel('rooms/:room', { history: { size: 1_000, ttl: 600_000 } })
  await app.ready()
  const before = process.memoryUsage().arrayBuffers
  const data = 'x'.repeat(1_000_000)
  for (let n = 0; n < 300; n++) await app.realtime.publish(`rooms/${n % 50}`, data)
  let kept = 0
  let told = 0
  for (let n = 0; n < 50; n++) {
    const { publications, offset } = await app.realtime.history(`rooms/${n}`)
    kept += publications.length
    t.equal(offset, 6, 'what is gone was counted')
    if (publications[0]?.offset !== 1) told++
  }
  t.ok(kept > 20 && kept <= 33, `${kept} publications of 1 MB are kept`)
  t.equal(told, 50, 'each has lost some, and its offsets say so')
  global.gc?.()
  const grown = process.memoryUsage().arrayBuffers - before
  t.ok(grown < 100 * MIB, `of 300 MB, ${Math.round(grown / MIB)} MiB at most wait to be collected`)
})

t.test('case 134: the bytes of one channel are bounded too', async (t) => {
  const { app } = await buildApp(t, {})
  app.channel('default/:room', { history: { size: 1_000, ttl: 600_000 } })
  app.channel('small/:room', { history: { size: 1_000, ttl: 600_000, maxBytes: 100_000 } })
  await app.ready()
  for (let n = 0; n < 20; n++) {
    await app.realtime.publish('default/a', 'x'.repeat(1_000_000))
    await app.realtime.publish('small/a', 'x'.repeat(30_000))
  }
  const offsets = async (channel: string) =>
    (await app.realtime.history(channel)).publications.map(({ offset }) => offset)
  t.same(await offsets('default/a'), [13, 14, 15, 16, 17, 18, 19, 20], '8 MiB')
  t.same(await offsets('small/a'), [18, 19, 20])
})

t.test('case 135: a publication of 2 MiB is refused, however it is published', async (t) => {
  const { app, logs } = await buildApp(t, { limits: { maxPayload: 4 * MIB } })
  app.channel('rooms/:room', { history: { size: 10, ttl: 60_000 }, onSubscribe: () => {}, onPublish: () => {} })
  app.ws('/rooms', async (socket) => {
    for await (const message of socket.messages()) {
      const outcome = socket.publish('rooms/a', message)
      socket.sendJson(await outcome.catch(({ code, statusCode }) => ({ code, statusCode })))
    }
  })
  const large = 'x'.repeat(2 * MIB)
  const tooLarge = { code: 'FST_RT_PUBLICATION_TOO_LARGE', statusCode: 413 }
  await t.rejects(app.realtime.publish('rooms/a', large), tooLarge)
  const socket = await connect(app, '/rooms', { token: testToken() })
  socket.send(large)
  t.match(await socket.next(), tooLarge)
  const { call } = await channelClient(app)
  t.match(await call({ subscribe: { channel: 'rooms/a' } }), { subscribe: { offset: 0 } })
  t.match(await call({ publish: { channel: 'rooms/a', data: large } }), { error: { code: 106 } })
  t.match(await app.realtime.history('rooms/a'), { publications: [], offset: 0 }, 'nothing is published')
  t.match(await call({ publish: { channel: 'rooms/a', data: 'x' } }), { push: { pub: { offset: 1 } } })
  t.same(
    logs.filter(({ level }) => level > 30),
    []
  )
})

t.test('case 135: the limit is on the bytes of the JSON text, and a larger message still ends with 1009', async (t) => {
  const { app } = await buildApp(t, { limits: { publication: 10, maxPayload: 200 } })
  app.channel('a', { onSubscribe: () => {}, onPublish: () => {} })
  await app.ready()
  await app.realtime.publish('a', 'x'.repeat(8))
  await t.rejects(app.realtime.publish('a', 'ä'.repeat(8)), { code: 'FST_RT_PUBLICATION_TOO_LARGE' })
  const { client, call } = await channelClient(app)
  t.match(await call({ subscribe: { channel: 'a' } }), { subscribe: {} })
  t.match(await call({ publish: { channel: 'a', data: 'x'.repeat(9) } }), { error: { code: 106 } })
  client.send({ id: 9, publish: { channel: 'a', data: 'x'.repeat(200) } })
  t.match(await client.closed(), { code: 1009 })
})
