import t from 'tap'
import { ChannelError, ERROR } from '../../../lib/protocol/channel-errors.ts'
import { DISCONNECT } from '../../../lib/protocol/disconnect-codes.ts'
import { ADA, quiet, sessionRig } from '../session-rig.ts'

t.test('a method is called with who calls and what with', async (t) => {
  const rig = await sessionRig(t)
  const calls: unknown[] = []
  rig.methods.set('echo', {
    handler: ({ user, connection, request, data }) => {
      calls.push([user, connection, request.id, data])
      return data
    }
  })
  const client = await rig.client()
  t.same(await client.call({ rpc: { method: 'echo', data: { a: [1] } } }), { rpc: { data: { a: [1] } } })
  t.same(await client.call({ rpc: { method: 'echo' } }), { rpc: { data: null } }, 'what gives nothing gives null')
  t.same(calls, [
    [ADA, client.connection.id, 'request', { a: [1] }],
    [ADA, client.connection.id, 'request', undefined]
  ])
})

t.test('by its schemas', async (t) => {
  const rig = await sessionRig(t)
  const seen: unknown[] = []
  rig.methods.set('strict', {
    handler: ({ data }) => {
      seen.push(data)
      return { shown: data, hidden: true }
    },
    validator: (data) => (data === 'bad' ? false : { value: `valid ${data}` }),
    serializer: (value) => JSON.stringify({ shown: (value as { shown: unknown }).shown })
  })
  const client = await rig.client()
  t.same(await client.call({ rpc: { method: 'strict', data: 'bad' } }), { error: ERROR.badRequest })
  t.same(await client.call({ rpc: { method: 'strict', data: 1 } }), { rpc: { data: { shown: 'valid 1' } } })
  t.same(await client.call({ rpc: { method: 'strict' } }), { rpc: { data: { shown: 'valid null' } } })
  t.same(seen, ['valid 1', 'valid null'], 'what the schema refuses is not called with, and what it changes is')
})

t.test('an answer that its serializer writes on several lines is one line', async (t) => {
  // The first line went out as a reply of its own, and the client hung up.
  const rig = await sessionRig(t)
  const answer = { a: [1, 'two\nlines'] }
  const text = '{\r\n  "large": 12345678901234567890,\n  "text": "two\\nlines"\n}\n'
  rig.methods.set('pretty', { handler: () => answer, serializer: (value) => JSON.stringify(value, null, 2) })
  rig.methods.set('own', { handler: () => answer, serializer: () => text })
  const client = await rig.client()
  t.same(await client.call({ rpc: { method: 'pretty' } }), { rpc: { data: answer } })
  t.same(await client.call({ rpc: { method: 'own' } }), { rpc: { data: JSON.parse(text) } })
})

t.test('what a method throws, and what it answers that is no JSON', async (t) => {
  const rig = await sessionRig(t)
  rig.methods.set('refuse', {
    handler: () => {
      throw new ChannelError(450, 'no', { temporary: true })
    }
  })
  rig.methods.set('fail', { handler: () => Promise.reject(new Error('a secret of the server')) })
  rig.methods.set('endless', { handler: () => 1n })
  const client = await rig.client()
  const call = (method: string) => client.call({ rpc: { method } })
  t.same(await call('refuse'), { error: { code: 450, message: 'no', temporary: true } })
  t.same(await call('fail'), { error: ERROR.internal })
  t.same(await call('endless'), { error: ERROR.internal })
  t.same(await call('unknown'), { error: ERROR.methodNotFound })
  t.match(rig.logs, [
    [{ command: 'rpc', connection: 'c1', err: { message: 'a secret of the server' } }, 'channel command failed'],
    [{ command: 'rpc', err: { code: 'FST_RT_INVALID_DATA' } }, 'channel command failed']
  ])
})

t.test('a message that is sent is handed over, and never answered', async (t) => {
  const messages: unknown[] = []
  const rig = await sessionRig(t, {
    hooks: {
      onMessage: async ({ user, connection, data }) => {
        messages.push([user, connection, data])
        if (data === 'refused') throw new ChannelError(450, 'no')
        if (data === 'out') throw new ChannelError(4500, 'out')
      }
    }
  })
  const client = await rig.client()
  client.say({ send: { data: { hello: 'there' } } }, { id: 9, send: { data: 'refused' } }, { send: {} })
  t.same(
    await client.heard(),
    [{ id: 9, error: { code: 450, message: 'no' } }],
    'but for who gave an id, and is refused'
  )
  t.same(messages, [
    [ADA, 'c1', { hello: 'there' }],
    [ADA, 'c1', 'refused'],
    [ADA, 'c1', undefined]
  ])
  client.say({ send: { data: 'out' } })
  await quiet()
  t.same(client.closed, { code: 4500, reason: 'out' })
})

t.test('a message that nobody listens to ends the connection, or its client would never know', async (t) => {
  const rig = await sessionRig(t)
  const client = await rig.client()
  client.say({ send: { data: 1 } })
  await quiet()
  t.same(client.closed, DISCONNECT.notAvailable)
  t.same(rig.logs, [])
})
