import t from 'tap'
import { UnavailableError } from '../../../lib/errors.ts'
import { ChannelError, ERROR } from '../../../lib/protocol/channel-errors.ts'
import { pending } from '../../support/pending.ts'
import { ADA, type Client, quiet, type SessionRig, sessionRig } from '../session-rig.ts'

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

/** The broker answers publishes when the test says so, in whatever order. What it was given stands in `published`. */
function answerLate({ broker }: SessionRig) {
  const published: { data: string; done: ReturnType<typeof pending<void>> }[] = []
  const { publish } = broker
  broker.publish = async (channel, data, options) => {
    const done = pending()
    published.push({ data: data.toString(), done })
    const result = await publish.call(broker, channel, data, options)
    await done.promise
    return result
  }
  return {
    texts: () => published.map(({ data }) => data),
    answer: async (at: number, error?: Error) => {
      const { done } = published[at] as (typeof published)[0]
      if (error === undefined) done.resolve()
      else done.reject(error)
      await quiet()
    }
  }
}

const publishes = (channel: string, ...ids: number[]) => ids.map((id) => ({ id, publish: { channel, data: id } }))

t.test('publishes wait for no answer, and each is answered by itself', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('a', { history: true, ...ACCEPT })
  const { texts, answer } = answerLate(rig)
  const [client, reader] = [await rig.client(), await rig.client()]
  await reader.call({ subscribe: { channel: 'a' } })
  client.say(...publishes('a', 1, 2, 3))
  await quiet()
  t.same(texts(), ['1', '2', '3'])
  t.match(await reader.heard(), [{ push: { pub: { data: 1 } } }, { push: { pub: { data: 2 } } }, { push: {} }])
  t.same(await client.heard(), [])
  await answer(2)
  t.same(await client.heard(), [{ id: 3, publish: {} }])
  await answer(0, new UnavailableError())
  t.same(await client.heard(), [{ id: 1, error: ERROR.internal }])
  await answer(1)
  t.same(await client.heard(), [{ id: 2, publish: {} }])
})

t.test('other commands of the channel wait for the answers, and publishes for theirs', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('a', { history: true, ...ACCEPT })
  rig.channel('b', ACCEPT)
  const { texts, answer } = answerLate(rig)
  const client = await rig.client()
  await client.call({ subscribe: { channel: 'a' } })
  rig.broker.calls.length = 0
  const release = rig.broker.holdHistory()
  const read = { id: 3, history: { channel: 'a', limit: -1 } }
  client.say(...publishes('a', 1, 2), read, ...publishes('a', 4), ...publishes('b', 5))
  await quiet()
  t.same(texts(), ['1', '5', '2'], 'the one on another channel waits for nothing')
  await answer(0)
  t.notOk(rig.broker.calls.includes('position'))
  await answer(2)
  t.ok(rig.broker.calls.includes('position'))
  t.equal(texts().length, 3, 'the history is not read yet')
  release()
  await quiet()
  t.equal(texts().at(-1), '4')
  for (const at of [1, 3]) await answer(at)
  const answers = (await client.heard()).filter(({ id }) => id !== undefined)
  t.match(answers, [
    { id: 1 },
    { id: 2 },
    { id: 3, history: { publications: [{ data: 1 }, { data: 2 }] } },
    { id: 5 },
    { id: 4 }
  ])
})

t.test('a publish whose hook takes its time is overtaken by none, refused or not', async (t) => {
  const rig = await sessionRig(t)
  const decisions = [pending(), pending(), pending()]
  const asked: unknown[] = []
  rig.channel('a', {
    onPublish: async ({ data }) => {
      asked.push(data)
      await decisions[asked.length - 1]?.promise
      if (data === 2) throw new ChannelError(455, 'not that')
    }
  })
  const { texts, answer } = answerLate(rig)
  const client = await rig.client()
  client.say(...publishes('a', 1, 2, 3))
  decisions[1]?.resolve()
  decisions[2]?.resolve()
  await quiet()
  t.same([asked, texts()], [[1], []])
  decisions[0]?.resolve()
  await quiet()
  t.same(
    [asked, texts()],
    [
      [1, 2, 3],
      ['1', '3']
    ]
  )
  t.same(await client.heard(), [{ id: 2, error: { code: 455, message: 'not that' } }])
  for (const at of [0, 1]) await answer(at)
  t.same(await client.heard(), [
    { id: 1, publish: {} },
    { id: 3, publish: {} }
  ])
})

t.test('publishes that are not answered count: the connection is not read past a number, nor past bytes', async (t) => {
  for (const limits of [{ maxQueue: 4 }, { maxPayload: 200 }]) {
    const rig = await sessionRig(t, { limits })
    rig.channel('a', ACCEPT)
    const { texts, answer } = answerLate(rig)
    const client = await rig.client()
    const calls = () => client.connection.calls.map(([call]) => call)
    client.say(...publishes('a', 1, 2, 3))
    await quiet()
    t.same(calls(), [])
    client.say(...publishes('a', 4, 5))
    await quiet()
    t.same(calls(), ['pause'])
    t.equal(texts().length, 5, 'what was read is published')
    for (const at of [3, 4, 1]) await answer(at)
    t.same(calls(), ['pause', 'resume'])
  }
})

t.test('one key of two publishes that are on their way adds one publication', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('once', { history: true, onPublish: ({ data }) => ({ idempotencyKey: `${data}` }) })
  const { answer } = answerLate(rig)
  const client = await rig.client()
  client.say(...[1, 2].map((id) => ({ id, publish: { channel: 'once', data: 'same' } })))
  await quiet()
  await answer(1)
  await answer(0)
  t.same(await client.heard(), [
    { id: 2, publish: {} },
    { id: 1, publish: {} }
  ])
  t.equal((await rig.broker.history('once', { limit: 10 })).publications.length, 1)
})

t.test('a drain waits for the answers to publishes', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('a', ACCEPT)
  const { answer } = answerLate(rig)
  const client = await rig.client()
  client.say(...publishes('a', 1, 2))
  await quiet()
  let drained = false
  const draining = client.session.drain()?.then(() => {
    drained = true
  })
  await answer(0)
  t.equal(drained, false)
  await answer(1)
  await draining
  t.same(await client.heard(), [
    { id: 1, publish: {} },
    { id: 2, publish: {} }
  ])
})

t.test('when the connection ends, what was not handed to the broker is not published', async (t) => {
  const rig = await sessionRig(t)
  const decided = pending()
  rig.channel('a', { onPublish: ({ data }) => (data === 3 ? decided.promise : undefined) })
  const { texts, answer } = answerLate(rig)
  const client = await rig.client()
  client.say(...publishes('a', 1, 2, 3, 4))
  await quiet()
  client.end()
  decided.resolve()
  await quiet()
  t.same(texts(), ['1', '2', '3'], 'the third had begun, and its client left by itself')
  for (const at of [0, 1, 2]) await answer(at)
  t.same(await client.heard(), [], 'nobody is answered')
  t.same(rig.logs, [])
})
