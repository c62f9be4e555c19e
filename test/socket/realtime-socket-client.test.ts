import t from 'tap'
import { userKey } from '../../lib/input/user-key.ts'
import type { RequestRules } from '../../lib/socket/requests.ts'
import { Resumption } from '../../lib/socket/resumption.ts'
import { socketRig } from '../support/socket-rig.ts'

/* What a socket does for a client that resumes, asks, answers and queues: `fastify-realtime/client`. */

const resuming = (positions: object) =>
  Resumption.from(`/?since=${Buffer.from(JSON.stringify(positions)).toString('base64url')}`, 128)
const rules = (more: Partial<RequestRules> & { queued?: boolean } = {}) => ({ requests: false, queued: false, ...more })

t.test('a client that resumes is welcomed, and learns where it stands', async (t) => {
  const { accept, context, eventsOf } = await socketRig(t, { heartbeat: { interval: 7_000 } })
  const { socket, client } = await accept()
  const asked: unknown[] = []
  const { subscribe } = context.streams
  context.streams.subscribe = (target, channel, options) => {
    asked.push(options)
    return subscribe(target, channel, options)
  }
  socket.begin(rules({ queued: true }), resuming({ a: [3, 'e'] }))
  t.same(await client.next(), { notice: { code: 'welcome', ping: 7_000, queued: true } })
  t.same(await socket.subscribe('a'), { recovered: false, offset: 1, epoch: 'e' })
  t.same(await client.next(), {
    notice: { code: 'subscribed', channel: 'a', recovered: false, offset: 1, epoch: 'e' }
  })
  await socket.subscribe('b', { since: { offset: 5, epoch: 'own' } })
  await client.next()
  t.same(await socket.subscribe('a'), { recovered: false, offset: 1, epoch: 'e' })
  t.same(asked, [{ since: { offset: 3, epoch: 'e' } }, { since: { offset: 5, epoch: 'own' } }, undefined])
  socket.unsubscribe('a')
  t.equal(eventsOf('unsubscribe').length, 1)
  // A second call has no second notice: its position may be ahead of publications that are still to be sent.
  t.same(await client.next(), { notice: { code: 'unsubscribed', channel: 'a' } })
  await socket.subscribe('a')
  t.match(await client.next(), { notice: { code: 'subscribed', channel: 'a' } })
})

t.test('a subscription that failed can begin again', async (t) => {
  const { accept, context } = await socketRig(t)
  const { socket, client } = await accept()
  const { subscribe } = context.streams
  context.streams.subscribe = async () => {
    throw new Error('away')
  }
  socket.begin(rules(), resuming({}))
  await client.next()
  await t.rejects(socket.subscribe('a'), { message: 'away' })
  context.streams.subscribe = subscribe
  await socket.subscribe('a')
  t.match(await client.next(), { notice: { code: 'subscribed', channel: 'a' } })
})

t.test('any other client is told nothing of that', async (t) => {
  const { accept } = await socketRig(t)
  const { socket, client } = await accept()
  socket.begin(rules(), undefined)
  await socket.subscribe('a')
  socket.unsubscribe('a')
  socket.sendJson('end')
  t.equal(await client.next(), 'end')
  await t.rejects(socket.request(1), { code: 'FST_RT_REQUESTS_OFF' })
  const raw = await socketRig(t, { kind: 'raw' })
  const other = await raw.accept()
  t.equal(other.socket.messageKey, undefined)
  await t.rejects(other.socket.request(1), { code: 'FST_RT_REQUESTS_OFF' })
})

t.test(
  'keyed messages: the key is there while the handler is at one, and the client learns when it is done',
  async (t) => {
    const { accept } = await socketRig(t)
    for (const resumption of [resuming({}), undefined]) {
      const { socket, client } = await accept()
      socket.begin(rules({ queued: true }), resumption)
      if (resumption !== undefined) await client.next()
      const messages = socket.messages()
      client.send({ key: 'k', message: 1 })
      t.match(await messages.next(), { value: 1 })
      t.equal(socket.messageKey, userKey(socket.user?.sub, 'k'))
      t.not(socket.messageKey, userKey('another', 'k'), 'another user’s key of the same name is another key')
      void messages.next()
      t.equal(socket.messageKey, undefined)
      socket.sendJson('end')
      if (resumption !== undefined) t.same(await client.next(), { notice: { code: 'taken', key: 'k' } })
      t.equal(await client.next(), 'end')
    }
  }
)

t.test('requests are no messages of the handler, and end with the connection', async (t) => {
  const { accept, eventsOf } = await socketRig(t)
  const { socket, client } = await accept()
  socket.begin(rules({ requests: true, respond: (data) => data }), undefined)
  const messages = socket.messages()
  client.send({ id: 1, request: 'a' })
  client.send('plain')
  t.same(await client.next(), { id: 1, reply: 'a' })
  t.match(await messages.next(), { value: 'plain' })
  const gone = t.rejects(socket.request('b'), { code: 'FST_RT_SOCKET_CLOSED' })
  t.same(await client.next(), { id: 1, request: 'b' })
  await client.close()
  await gone
  t.equal(eventsOf('rejected').length, 0)
})

t.test('a malformed request is answered as any malformed message is', async (t) => {
  const { accept } = await socketRig(t)
  const { socket, client } = await accept()
  socket.begin(rules({ respond: () => 1 }), undefined)
  void socket.messages().next()
  client.raw.send('{"id":1,"request":')
  t.match(await client.next(), { error: { code: 'invalid_json' } })
  client.raw.send(Buffer.from('{"id":1,"request":1}'))
  t.match(await client.next(), { error: { code: 'unsupported_data' } })
})
