import { type Test, test } from 'tap'
import { ChannelClient } from '../../../../demo/load/client/channel-client.ts'
import { Publisher } from '../../../../demo/load/measure/publisher.ts'
import { ClientStage } from '../../../support/load-client.ts'

/** A client that is subscribed to two channels, of which the first has history. */
async function subscribed(t: Test) {
  const stage = await ClientStage.start(t)
  const client = new ChannelClient(stage.setup('/', 'a', 'b'))
  t.teardown(() => client.close())
  void client.open()
  const server = await stage.connection(0)
  t.same(JSON.parse(await server.next()), { id: 1, connect: { name: 'load' } })
  server.socket.send('{"id":1,"connect":{"client":"c","ping":25,"pong":true}}')
  const commands = (await server.next()).split('\n').map((line) => JSON.parse(line))
  t.same(commands, [
    { id: 2, subscribe: { channel: 'a' } },
    { id: 3, subscribe: { channel: 'b' } }
  ])
  server.socket.send('{"id":2,"subscribe":{"epoch":"e","offset":4}}\n{"id":3,"subscribe":{}}')
  await stage.tells('opened')
  return { stage, client, server }
}

test('publications, pings and the word that some were dropped', async (t) => {
  const { stage, client, server } = await subscribed(t)
  t.ok(client.isReady)
  server.socket.send('{"push":{"channel":"a","pub":{"data":{"n":1},"offset":5}}}')
  server.socket.send('{"push":{"channel":"b","pub":{"data":2}}}\n{"push":{"channel":"a","join":{"info":{}}}}')
  server.socket.send('{"push":{"channel":"stranger","pub":{"data":3}}}')
  server.socket.send('{"push":{"message":{"data":{"notice":{"code":"lagging","dropped":3}}}}}')
  server.socket.send('{}')
  t.equal(await server.next(), '{}')
  t.same(stage.told, ['opened', 'received a {"n":1}', 'received b 2', 'dropped 3'])
  t.equal(client.subscriptions[0]?.offset, 5)
})

test('what it publishes is confirmed, refused, or cut off', async (t) => {
  const { stage, client, server } = await subscribed(t)
  const publisher = new Publisher(0, 0)
  client.publishers.push(publisher)
  const publish = (text: string) => {
    const subscription = client.subscriptions[0] as (typeof client.subscriptions)[number]
    client.send({ publisher, sequence: publisher.next(), subscription, text })
  }
  publish('{"n":0}')
  t.same(JSON.parse(await server.next()), { id: 4, publish: { channel: 'a', data: { n: 0 } } })
  publish('{"n":1}')
  await server.next()
  server.socket.send('{"id":4,"publish":{}}')
  server.socket.send('{"id":5,"error":{"code":111,"message":"too many requests"}}')
  await stage.tells('rejected 111 1')
  t.same(stage.told, ['opened', 'confirmed 0', 'rejected 111 1'])
  publish('{"n":2}')
  await server.next()
  t.ok(client.cut())
  t.notOk(client.cut())
  t.ok(client.isAway)
  t.match(publisher.count(), { unconfirmed: 3 }, 'whose fates are the observer’s to enter')
  // What is due meanwhile waits.
  publish('{"n":3}')
  const again = await stage.connection(1)
  await again.next()
  again.socket.send('{"id":1,"connect":{}}')
  const [first, second] = (await again.next()).split('\n').map((line) => JSON.parse(line))
  t.same(
    [first.subscribe, second.subscribe],
    [{ channel: 'a', recover: true, epoch: 'e', offset: 4 }, { channel: 'b' }]
  )
  const missed = '"was_recovering":true,"recovered":true,"publications":[{"data":"m","offset":5}]'
  again.socket.send(
    `{"id":${first.id},"subscribe":{"epoch":"e","offset":5,${missed}}}\n{"id":${second.id},"subscribe":{}}`
  )
  t.match(JSON.parse(await again.next()), { publish: { channel: 'a', data: { n: 3 } } })
  t.same(stage.told.slice(3), ['received a "m"', 'recovered true', 'returned'])
})

test('a subscription that the server ends because of a gap is made again', async (t) => {
  const { stage, server } = await subscribed(t)
  server.socket.send('{"push":{"channel":"a","unsubscribe":{"code":2500,"reason":"insufficient state"}}}')
  t.match(JSON.parse(await server.next()), { subscribe: { channel: 'a', recover: true, epoch: 'e', offset: 4 } })
  server.socket.send('{"id":4,"subscribe":{"epoch":"f","offset":9,"was_recovering":true}}')
  await stage.tells('recovered false')
  server.socket.send('{"push":{"channel":"a","unsubscribe":{"code":2000,"reason":"go"}}}')
  await stage.tells('failed unsubscribed: 2000')
})

test('what ends it for good, and what does not', async (t) => {
  for (const [answer, reason] of [
    ['{"id":1,"error":{"code":109,"message":"token expired"}}', 'failed connect: error 109'],
    ['hello', 'failed not the channel protocol'],
    ['3', 'failed not the channel protocol']
  ] as const) {
    const stage = await ClientStage.start(t)
    const opening = new ChannelClient(stage.setup('/', 'a')).open()
    const { socket, next } = await stage.connection(0)
    await next()
    socket.send(answer)
    await opening
    t.same(stage.told, [reason, 'left'])
  }

  const stage = await ClientStage.start(t)
  const opening = new ChannelClient(stage.setup('/', 'a')).open()
  const { socket, next } = await stage.connection(0)
  await next()
  socket.send('{"id":1,"connect":{}}')
  await next()
  socket.send('{"id":2,"error":{"code":103,"message":"permission denied"}}')
  await opening
  t.same(stage.told, ['failed subscribe: error 103', 'left'])

  const { stage: other, client, server } = await subscribed(t)
  server.socket.close(3001, 'shutdown')
  await other.connection(1)
  t.same(other.told, ['opened', 'closed 3001'])
  t.ok(client.isAway)
  const { stage: last, client: gone, server: strict } = await subscribed(t)
  strict.socket.close(3500, 'invalid token')
  await last.tells('left')
  t.same(last.told, ['opened', 'closed 3500', 'left'])
  t.notOk(gone.isAway)
})
