import { once } from 'node:events'
import t from 'tap'
import { connect, testToken } from '../../lib/testing/index.ts'
import { buildApp, holdsNoToken, type LogLine, levels } from '../support/app.ts'
import { next, socketRig } from '../support/socket-rig.ts'
import { Speaker } from '../support/speaker.ts'

/* The line at the end of a connection, by each of the three kinds and each of those that can end one. */

const ended = (logs: readonly LogLine[]) => logs.filter(({ msg }) => msg === 'connection ended')

async function lines(logs: readonly LogLine[], count: number): Promise<LogLine[]> {
  while (ended(logs).length < count) await new Promise(setImmediate)
  return ended(logs)
}

t.test('one line for each, with who, why and how much', async (t) => {
  const { app, logs } = await buildApp(t, { logConnections: 'info' })
  app.channel('news', { onSubscribe: true })
  app.ws('/echo/:room', async (socket) => {
    for await (const message of socket.messages()) {
      socket.sendJson(message)
      if (message === 'bye') return
    }
  })
  app.get('/raw', { websocket: true }, (socket) => {
    socket.on('message', () => socket.terminate())
  })
  const token = testToken({ sub: 'ada' })

  const one = await connect(app, '/echo/secret-room', { token })
  one.send('secret-message')
  await one.next()
  await one.close(4001, 'secret-reason')
  const [client] = await lines(logs, 1)
  t.match(client, {
    level: levels.info,
    connection: String,
    user: 'ada',
    route: '/echo/:room',
    kind: 'messages',
    code: 4001,
    by: 'client',
    age: Number,
    messagesIn: 1,
    messagesOut: 1,
    bytesIn: Buffer.byteLength('"secret-message"'),
    dropped: 0,
    rejected: 0,
    reqId: String
  })
  t.ok((client?.bytesOut as number) > 0)
  t.notOk('roundTripTime' in (client as LogLine), 'no ping was answered')
  t.notOk('queued' in (client as LogLine))

  const two = await connect(app, '/echo/b', { token })
  two.send('bye')
  await two.closed()
  t.match((await lines(logs, 2))[1], { by: 'server', code: 1000, kind: 'messages' })

  const three = await connect(app, '/raw', { token })
  three.send(1)
  await three.closed()
  t.match((await lines(logs, 3))[2], { by: 'server', code: 1006, kind: 'raw', messagesIn: 1 })

  const four = await connect(app, '/echo/d', { token })
  four.terminate()
  t.match((await lines(logs, 4))[3], { by: 'network', code: 1006 })

  const five = await Speaker.open(app, { connect: { token } })
  await five.call({ subscribe: { channel: 'news' } })
  app.realtime.disconnect({ user: 'ada' }, { code: 4500, reason: 'secret-reason' })
  await five.socket.closed()
  t.match((await lines(logs, 5))[4], { by: 'server', code: 4500, kind: 'channels', user: 'ada' })

  t.equal(ended(logs).length, 5)
  holdsNoToken(t, token, logs)
  t.notOk(/secret-(message|reason)/.test(JSON.stringify(ended(logs))))
  t.notOk(JSON.stringify(ended(logs)).includes('secret-room'), 'nor what the address held')
})

t.test('a fault of the client is closed by the server, with its code', async (t) => {
  const { app, logs } = await buildApp(t, { auth: false, logConnections: 'info', limits: { maxPayload: 10 } })
  app.ws('/echo', async (socket) => {
    for await (const message of socket.messages()) socket.sendJson(message)
  })
  const socket = await connect(app, '/echo')
  socket.send('more than ten bytes')
  await socket.closed()
  t.match(await lines(logs, 1), [{ by: 'server', code: 1009 }])
  t.notOk('user' in (ended(logs)[0] as LogLine))
})

t.test('the last round trip, and the close of a client that gives no code', async (t) => {
  const { app, logs } = await buildApp(t, { auth: false, logConnections: 'debug', heartbeat: { interval: 50 } })
  app.ws('/quiet', async (socket) => {
    while (socket.roundTripTime === undefined) await once(socket, 'pong')
    socket.sendJson('ponged')
    for await (const _ of socket.messages());
  })
  const socket = await connect(app, '/quiet')
  t.equal(await socket.next(), 'ponged')
  await socket.close()
  t.match(await lines(logs, 1), [{ level: levels.debug, by: 'client', code: 1005, roundTripTime: Number }])
})

t.test('none by default, and none for a refused handshake', async (t) => {
  const { app, logs } = await buildApp(t, { auth: false })
  app.ws('/echo', () => {})
  await (await connect(app, '/echo')).close(1000)
  await app.close()
  t.same(ended(logs), [])

  const second = await buildApp(t, { logConnections: 'info' })
  second.app.ws('/echo', () => {})
  const refused = await connect(second.app, '/echo', { origin: true, token: 'no.such.token' })
  t.match(await refused.closed(), { code: 4401 })
  await second.app.close()
  t.same(ended(second.logs), [])
  t.equal(second.logs.filter(({ msg }) => msg === 'handshake refused').length, 1)
})

t.test('who ended it is who sent the first close frame', async (t) => {
  const { accept } = await socketRig(t)
  const one = await accept()
  const closed = next(one.socket, 'close')
  one.socket.close(4000)
  // The client answers with the same code.
  t.match(await one.client.closed(), { code: 4000 })
  await closed
  t.equal(one.socket.endedBy, 'server')
  const two = await accept()
  const closedToo = next(two.socket, 'close')
  await two.client.close(4000)
  await closedToo
  t.equal(two.socket.endedBy, 'client')
})
