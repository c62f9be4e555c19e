import { test } from 'tap'
import { SocketClient } from '../../../../demo/load/client/socket-client.ts'
import { Publisher } from '../../../../demo/load/measure/publisher.ts'
import { ClientStage } from '../../../support/load-client.ts'

test('a room: ready once it says so, and back at the position that it gave', async (t) => {
  const stage = await ClientStage.start(t)
  const client = new SocketClient(stage.setup('/rooms/tea', ''), false)
  t.teardown(() => client.close())
  void client.open()
  const first = await stage.connection(0)
  t.equal(first.url, '/rooms/tea')
  t.notOk(client.isReady)
  first.socket.send('{"notice":{"code":"subscribed","channel":"rooms/tea","recovered":false,"offset":2,"epoch":"e:1"}}')
  await stage.tells('opened')
  first.socket.send('{"channel":"rooms/tea","data":{"n":3},"offset":3,"epoch":"e:1"}')
  first.socket.send('{"notice":{"code":"lagging","dropped":2}}')
  first.socket.send('{"error":{"code":"rate_limited","message":"…"}}')
  first.socket.send('{"ping":1795403994179}')
  first.socket.send('{"notice":{"code":"draining","reconnectAfter":5}}')
  first.socket.close(1012, 'server restart')
  const second = await stage.connection(1)
  t.equal(second.url, `/rooms/tea?since=${encodeURIComponent('e:1:3')}`)
  second.socket.send('{"channel":"rooms/tea","data":{"n":4},"offset":4,"epoch":"e:1"}')
  second.socket.send('{"notice":{"code":"subscribed","channel":"rooms/tea","recovered":true,"offset":4,"epoch":"e:1"}}')
  await stage.tells('returned')
  second.socket.send('{"notice":{"code":"insufficient_state","recovered":false,"offset":9,"epoch":"f"}}')
  await stage.tells('recovered false')
  t.same(stage.told, [
    'opened',
    'received  {"n":3}',
    'dropped 2',
    'rejected rate_limited undefined',
    'received  {"ping":1795403994179}',
    'closed 1012',
    'received  {"n":4}',
    'recovered true',
    'returned',
    'recovered false'
  ])
  client.cut()
  t.equal((await stage.connection(2)).url, '/rooms/tea?since=f%3A9')
})

test('an echo: ready at once, whatever comes back', async (t) => {
  const stage = await ClientStage.start(t)
  const client = new SocketClient(stage.setup('/echo?a=1', ''), true)
  t.teardown(() => client.close())
  await client.open()
  const { socket } = await stage.connection(0)
  socket.send('{"echo":{"text":"a"}}')
  socket.send('{"text":"b"}')
  socket.send('no JSON')
  socket.send('7')
  await stage.tells('received  {"text":"b"}')
  t.same(stage.told.slice(0, 3), ['opened', 'received  {"text":"a"}', 'received  {"text":"b"}'])
  t.ok(client.isReady)
})

test('a connection that ends before the room spoke is not taken for ready later', async (t) => {
  const stage = await ClientStage.start(t)
  const client = new SocketClient(stage.setup('/rooms/tea', ''), false)
  t.teardown(() => client.close())
  void client.open()
  const first = await stage.connection(0)
  first.socket.send('{"notice":{"code":"subscribed","offset":0,"epoch":"e"}}')
  await stage.tells('opened')
  const publisher = new Publisher(0, 0)
  client.publishers.push(publisher)
  const subscription = client.subscription
  const publish = () => client.send({ publisher, sequence: publisher.next(), subscription, text: '{}' })
  client.cut()
  publish()
  const second = await stage.connection(1)
  second.socket.close(1013, 'unavailable')
  await stage.tells('closed 1013')
  t.match(publisher.count(), { open: 1 }, 'it still waits')
  client.abandon()
  t.match(publisher.count(), { open: 0, unconfirmed: 1 })
  const third = await stage.connection(2)
  third.socket.close(4403, 'forbidden')
  await stage.tells('left')
  publish()
  t.match(publisher.count(), { open: 0, unconfirmed: 2 }, 'nothing is sent any more')
  t.same(stage.told, ['opened', 'closed 1013', 'closed 4403', 'left'])
})

test('a handshake that is refused for good is not tried again', async (t) => {
  const stage = await ClientStage.start(t)
  const setup = stage.setup('/', '')
  // ws answers what is no handshake of its version with 400 or 426.
  const client = new SocketClient({ ...setup, endpoint: { ...setup.endpoint, protocols: ['a', 'a'] } }, true)
  await client.open()
  t.same(stage.told, ['refused 400', 'left'])
})
