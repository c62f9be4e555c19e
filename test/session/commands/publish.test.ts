import t from 'tap'
import { ChannelError, ERROR } from '../../../lib/protocol/channel-errors.ts'
import { ADA, type Client, sessionRig } from '../session-rig.ts'

const ACCEPT = { onPublish: () => undefined }

function publish(client: Client, channel: string, data: unknown) {
  return client.call({ publish: { channel, data } })
}

t.test('to everybody on the channel, with who published', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('rooms/:room', { history: true, ...ACCEPT })
  const [ada, bob] = [await rig.client(), await rig.client({ user: { sub: 'bob', info: { nick: 'B' } } })]
  await bob.call({ subscribe: { channel: 'rooms/1' } })
  t.same(await publish(ada, 'rooms/1', 'from outside'), { publish: {} })
  t.same(await publish(bob, 'rooms/1', 'from inside'), { publish: {} })
  t.same(await bob.heard(), [
    {
      push: {
        channel: 'rooms/1',
        pub: { data: 'from outside', offset: 1, info: { user: 'ada', client: ada.connection.id } }
      }
    },
    {
      push: {
        channel: 'rooms/1',
        pub: {
          data: 'from inside',
          offset: 2,
          info: { user: 'bob', client: bob.connection.id, conn_info: { nick: 'B' } }
        }
      }
    }
  ])
  t.same(await ada.heard(), [], 'and nobody else')
})

t.test('a client is not given its own publication if the channel or the hook says so', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('quiet', { history: true, echo: false, ...ACCEPT })
  rig.channel('loud', { onPublish: ({ data }) => (data === 'quietly' ? { echo: false } : { echo: true }) })
  const [ada, bob] = [await rig.client(), await rig.client({ user: { sub: 'bob' } })]
  for (const client of [ada, bob]) {
    for (const channel of ['quiet', 'loud']) await client.call({ subscribe: { channel } })
  }
  const data = (lines: unknown[]) => lines.map((line) => (line as { push: { pub: { data: unknown } } }).push.pub.data)
  for (const value of [1, 2]) t.same(await publish(ada, 'quiet', value), { publish: {} })
  await publish(bob, 'quiet', 3)
  await publish(ada, 'loud', 'quietly')
  await publish(ada, 'loud', 'loudly')
  t.same(data(await ada.heard()), [3, 'loudly'])
  t.same(data(await bob.heard()), [1, 2, 'quietly', 'loudly'])

  // Its own are no gap for it, and are not given to it by a recovery.
  const { epoch } = (await rig.broker.history('quiet', { limit: 0 })).position
  await ada.call({ unsubscribe: { channel: 'quiet' } })
  t.match(await ada.call({ subscribe: { channel: 'quiet', recover: true, offset: 0, epoch } }), {
    subscribe: { recovered: true, publications: [{ data: 3, offset: 3 }] }
  })
})

t.test('a hook that says neither is a fault of the application', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('room', { onPublish: () => ({ echo: 'no' }) as never })
  t.match(await publish(await rig.client(), 'room', 1), { error: { code: 100 } })
  t.match(rig.logs, [[{ err: { message: /^echo/ } }, 'channel command failed']])
})

t.test('as what the subscription says of its client, where it has one', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('rooms/:room', { ...ACCEPT, onSubscribe: () => ({ info: { seat: 7 } }) })
  const client = await rig.client()
  await client.call({ subscribe: { channel: 'rooms/1' } })
  await publish(client, 'rooms/1', 1)
  const info = { user: 'ada', client: client.connection.id, chan_info: { seat: 7 } }
  t.same(await client.heard(), [{ push: { channel: 'rooms/1', pub: { data: 1, info } } }])
})

t.test('a text goes out as it came, to the byte', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('raw', ACCEPT)
  const client = await rig.client()
  const texts: string[] = []
  const { publish } = rig.broker
  rig.broker.publish = (channel, data, options) => {
    texts.push(data.toString())
    return publish.call(rig.broker, channel, data, options)
  }
  const exact = '{"z": 1.0, "a":9007199254740993,"<b>":"\\u003cscript>\u2028 ü"}'
  client.say(`{"id":9,"publish":{"channel":"raw","data":{}, "data" : ${exact} }}`)
  t.same(await client.heard(), [{ id: 9, publish: {} }])
  t.same(texts, [exact])
})

t.test('the hook is told who, where and what, and may refuse', async (t) => {
  const rig = await sessionRig(t)
  const told: unknown[] = []
  rig.channel('rooms/:room', {
    onPublish: async ({ user, connection, request, channel, params, data }) => {
      told.push([user, connection, request.id, channel, params.room, data])
      if (data === 'refused') throw new ChannelError(455, 'not that')
    }
  })
  rig.channel('silent')
  const client = await rig.client()
  t.same(await publish(client, 'rooms/1', { a: 1 }), { publish: {} })
  t.same(told, [[ADA, 'c1', 'request', 'rooms/1', '1', { a: 1 }]])
  t.same(await publish(client, 'rooms/1', 'refused'), { error: { code: 455, message: 'not that' } })
  t.same(await publish(client, 'rooms/1', null), { publish: {} }, 'null is something')
  t.same(await publish(client, 'rooms/1', undefined), { error: ERROR.badRequest })
  t.same(await publish(client, 'silent', 1), { error: ERROR.permissionDenied }, 'without a hook nobody may')
  t.same(await publish(client, 'nowhere', 1), { error: ERROR.unknownChannel })
})

t.test('what the hook gives instead is published', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('changed', { onPublish: async ({ data }) => ({ data: data === 'odd' ? 1n : { was: data } }) })
  const client = await rig.client()
  await client.call({ subscribe: { channel: 'changed' } })
  await publish(client, 'changed', 1)
  t.match(await client.heard(), [{ push: { pub: { data: { was: 1 } } } }])
  t.same(await publish(client, 'changed', 'odd'), { error: ERROR.internal })
  t.match(rig.logs, [[{ err: { code: 'FST_RT_INVALID_DATA' }, command: 'publish' }, 'channel command failed']])
})

t.test('what a schema makes of it is published, and what it refuses the hook never sees', async (t) => {
  const rig = await sessionRig(t)
  const seen: unknown[] = []
  rig.channel('schema', {
    validators: { publication: (data) => (data === 'bad' ? false : { value: { n: 5, ...(data as object) } }) },
    onPublish: ({ data }) => void seen.push(data)
  })
  const client = await rig.client()
  await client.call({ subscribe: { channel: 'schema' } })
  t.same(await publish(client, 'schema', 'bad'), { error: ERROR.badRequest })
  t.same(await publish(client, 'schema', { a: 1 }), { publish: {} })
  t.match(await client.heard(), [{ push: { pub: { data: { n: 5, a: 1 } } } }])
  t.same(seen, [{ n: 5, a: 1 }])
})

t.test('a key adds once for each user, and is nobody else’s', async (t) => {
  const rig = await sessionRig(t, { authenticated: false })
  rig.channel('once', { history: true, onPublish: () => ({ idempotencyKey: 'k' }) })
  const clients = [await rig.client(), await rig.client({ user: { sub: 'bob' } }), await rig.client({ user: null })]
  for (const client of clients) {
    for (let n = 0; n < 2; n++) t.same(await publish(client, 'once', 1), { publish: {} })
  }
  t.equal(rig.hub.positionOf('once'), undefined)
  const { position } = await rig.broker.history('once', { limit: 0 })
  t.equal(position.offset, clients.length)
  t.same(await publish(clients[0] as Client, 'once', 2), { error: ERROR.badRequest }, 'other data under one key')
  await rig.hub.publish('once', 1, { idempotencyKey: 'k' })
  t.equal((await rig.broker.history('once', { limit: 0 })).position.offset, clients.length + 1, 'nor the application’s')
})

t.test('a broker that is away is no fault to log, and is worth another try', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('a', ACCEPT)
  const client = await rig.client()
  await rig.broker.close()
  t.same(await publish(client, 'a', 1), { error: ERROR.internal })
  t.equal(ERROR.internal.temporary, true)
  t.same(rig.logs, [])
})

t.test('a key that is none is the client’s fault: the hook hands on what it has sent', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('once', { history: true, onPublish: ({ data }) => ({ idempotencyKey: data as string }) })
  const client = await rig.client()
  const publish = (data: unknown) => client.call({ publish: { channel: 'once', data } })
  for (const key of ['', 5, null, 'x'.repeat(256)]) t.same(await publish(key), { error: ERROR.badRequest }, `${key}`)
  t.same(await publish('key'), { publish: {} })
  t.same(rig.logs, [])
  t.equal((await rig.broker.history('once', { limit: 10 })).publications.length, 1)
})
