import t from 'tap'
import { ChannelError, ERROR, forbidden } from '../../../lib/protocol/channel-errors.ts'
import { DISCONNECT } from '../../../lib/protocol/disconnect-codes.ts'
import { prepareAtConnect, subscribeByServer } from '../../../lib/session/commands/server-subscriptions.ts'
import { pending } from '../../support/pending.ts'
import { type Client, sessionRig } from '../session-rig.ts'

/* Whole connections: test/cases/g-rights.test.ts. */

const denied = { error: ERROR.permissionDenied }
const subscribe = (client: Client, channel: string, more: object = {}) =>
  client.call({ subscribe: { channel, ...more } })
const publish = (client: Client, channel: string, data: unknown = 1) => client.call({ publish: { channel, data } })
const refuse = () => {
  throw forbidden()
}
const MISSING = 'channel hook missing'

t.test('case 120: without a hook clients are refused, and the first of each is logged', async (t) => {
  const rig = await sessionRig(t, { verify: () => ({ claims: { sub: 'ada', channel: 'tokens' } }) })
  rig.channel('closed/:id', { onSubscribe: undefined })
  rig.channel('read/:id', { onSubscribe: true })
  rig.channel('tokens', { onSubscribe: undefined, token: true })
  const clients = [await rig.client(), await rig.client()] as const
  for (const client of clients) {
    t.same(await subscribe(client, 'closed/1'), denied)
    t.same(await publish(client, 'closed/1'), denied)
    t.same(await subscribe(client, 'read/1'), { subscribe: {} })
    t.same(await publish(client, 'read/1'), denied)
  }
  t.same(rig.warnings, [
    [{ pattern: 'closed/:id', hook: 'onSubscribe' }, MISSING],
    [{ pattern: 'closed/:id', hook: 'onPublish' }, MISSING],
    [{ pattern: 'read/:id', hook: 'onPublish' }, MISSING]
  ])
  t.same(await subscribe(clients[0], 'tokens'), denied, 'a token is needed')
  t.same(await subscribe(clients[0], 'tokens', { token: 'x' }), { subscribe: {} }, 'and is enough')
  await subscribeByServer(clients[0].session, 'closed/1')
  t.match(await clients[0].heard(), [{ push: { channel: 'closed/1', subscribe: {} } }], 'the server needs no hook')
  t.equal(rig.warnings.length, 3)
})

t.test('case 122: a client publishes where it is subscribed', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('room', { publishers: 'subscribers', onPublish: true })
  rig.channel('box', { onSubscribe: undefined, publishers: 'clients', onPublish: true })
  rig.channel('made', { onSubscribe: undefined, publishers: 'subscribers', onPublish: true })
  const client = await rig.client()
  t.same(await publish(client, 'room'), denied)
  t.same(await publish(client, 'made'), denied)
  t.same(rig.warnings, [], 'no hook is missing')
  t.same(await publish(client, 'box'), { publish: {} })
  await subscribe(client, 'room')
  t.same(await publish(client, 'room'), { publish: {} })
  await subscribeByServer(client.session, 'made')
  t.same(await publish(client, 'made'), { publish: {} }, 'a subscription of the server counts')
  await client.call({ unsubscribe: { channel: 'room' } })
  t.same(await publish(client, 'room'), denied)
})

t.test('case 121: what was missed is for those who may look into history', async (t) => {
  const rig = await sessionRig(t)
  const asked: unknown[] = []
  rig.channel('live', {
    history: true,
    onHistory: ({ channel, limit, since, reverse }) => {
      asked.push([channel, limit, since, reverse])
      refuse()
    }
  })
  const { epoch } = await rig.publish('live', 1, 2, 3)
  const positions = [{}, { offset: 0 }, { offset: 1, epoch }, { offset: 3, epoch }]
  for (const position of positions) {
    const client = await rig.client()
    t.same(await subscribe(client, 'live', { recover: true, ...position }), { subscribe: { was_recovering: true } })
    t.same(await client.call({ history: { channel: 'live', limit: 10 } }), denied)
  }
  t.same(asked[4], ['live', -1, { offset: 1, epoch }, false])
  t.equal(asked.length, 2 * positions.length)
  const strict = { recover: true, offset: 1, epoch, flag: 2 }
  t.same(await subscribe(await rig.client(), 'live', strict), { error: ERROR.unrecoverablePosition })
  const client = await rig.client()
  t.match(
    await subscribe(client, 'live'),
    { subscribe: { recoverable: true, offset: 3 } },
    'who asks for none is not asked'
  )
  await rig.publish('live', 4)
  t.match(await client.heard(), [{ push: { pub: { data: 4 } } }], 'what is new comes all the same')
})

t.test('a hook that lets it pass, and a channel that keeps nothing', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('kept', { history: true, onHistory: async () => undefined })
  rig.channel('plain', { onHistory: () => t.fail('there is nothing to look into') })
  const { epoch } = await rig.publish('kept', 1, 2)
  const answer = await subscribe(await rig.client(), 'kept', { recover: true, offset: 1, epoch })
  t.match(answer, { subscribe: { recovered: true, publications: [{ data: 2 }] } })
  t.same(await subscribe(await rig.client(), 'plain', { recover: true }), { subscribe: { was_recovering: true } })
})

t.test('case 121: joins and leaves are for those who may know who is there', async (t) => {
  const rig = await sessionRig(t)
  let asked = 0
  rig.channel(':name', {
    presenceTtl: 30_000,
    joinLeave: true,
    onPresence: ({ user }) => {
      asked++
      if (user?.sub === 'mallory') refuse()
    }
  })
  const [mallory, bob] = [await rig.client({ user: { sub: 'mallory' } }), await rig.client({ user: { sub: 'bob' } })]
  for (const client of [mallory, bob]) await subscribe(client, 'room', { join_leave: true })
  await subscribeByServer(mallory.session, 'made')
  t.same(await mallory.call({ presence: { channel: 'room' } }), denied)
  const ada = await rig.client()
  for (const channel of ['room', 'made']) await subscribe(ada, channel)
  t.equal(asked, 4, 'who does not ask is not asked about')
  ada.end()
  t.match(await bob.heard(), [{ push: { join: {} } }, { push: { join: {} } }, { push: { leave: {} } }])
  t.match(await mallory.heard(), [{ push: { channel: 'made', subscribe: {} } }], 'not one')
})

t.test('joinLeave always: those that did not ask are sent them too, but for those who may not know', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('room', { joinLeave: 'always', onPresence: ({ user }) => void (user?.sub === 'mallory' && refuse()) })
  const [mallory, bob] = [await rig.client({ user: { sub: 'mallory' } }), await rig.client({ user: { sub: 'bob' } })]
  for (const client of [mallory, bob]) await subscribe(client, 'room')
  const ada = await rig.client()
  await subscribe(ada, 'room')
  t.match(await bob.heard(), [
    { push: { join: { info: { user: 'bob' } } } },
    { push: { join: { info: { user: 'ada' } } } }
  ])
  t.same(await mallory.heard(), [])
})

t.test('a subscription of the server passes the hooks of the scope as the commands would', async (t) => {
  const rig = await sessionRig(t)
  let passes = 0
  const guard = async () => {
    passes++
    refuse()
  }
  rig.channel('room', { history: true, joinLeave: true, guard })
  const { epoch } = await rig.publish('room', 1, 2)
  const client = await rig.client({ connect: false })
  const positions = new Map([['room', { offset: 1, epoch }]])
  const [prepared] = await prepareAtConnect(client.session, ['room'], positions)
  t.match(
    prepared?.result(),
    { recovery: 'failed', publications: [], position: undefined },
    'it stands, without what was missed'
  )
  prepared?.begin()
  t.equal(passes, 2)
  t.same(await client.heard(), [], 'and without its own join')
})

t.test('a hook that fails is no hook that refuses', async (t) => {
  const rig = await sessionRig(t)
  const errors = [new Error('the database'), new ChannelError(ERROR.tooManyRequests.code), new ChannelError(4_001)]
  rig.channel('live', {
    history: true,
    onHistory: () => {
      throw errors.shift()
    }
  })
  const client = await rig.client()
  const recover = () => subscribe(client, 'live', { recover: true })
  t.same(await recover(), { error: ERROR.internal })
  t.equal(rig.logs.length, 1)
  t.same(await recover(), { error: ERROR.tooManyRequests })
  t.same(client.session.channels, [])
  t.equal(await recover(), undefined)
  t.match(client.closed, { code: 4_001 })
})

t.test('one that ends while a hook decides what it may have is none', async (t) => {
  const rig = await sessionRig(t)
  const client = await rig.client()
  rig.channel('live', {
    presenceTtl: 30_000,
    joinLeave: 'always',
    onPresence: () => client.session.unsubscribe('live')
  })
  t.same(await subscribe(client, 'live'), denied)
  t.same(await rig.broker.presence('live'), [])
})

t.test('case 120: a hook that returns false lets nobody in, and the log says what to return', async (t) => {
  const no = () => false as unknown as undefined
  const later = async () => false as unknown as undefined
  const rig = await sessionRig(t)
  const failed = { error: ERROR.internal }
  rig.channel('out', { onSubscribe: no, onPublish: later, publishers: 'clients' })
  rig.channel('in', { presenceTtl: 30_000, history: true, onPresence: no, onHistory: later, onRefresh: no })
  rig.channel('joins', { joinLeave: true, onPresence: later })
  await rig.publish('in', 1)
  const client = await rig.client()
  t.same(await subscribe(client, 'out'), failed)
  t.same(await publish(client, 'out'), failed)
  t.same(await subscribe(client, 'in', { recover: true }), failed)
  t.same(await subscribe(client, 'joins', { join_leave: true }), failed)
  t.same(client.session.channels, [])
  t.match(await subscribe(client, 'in'), { subscribe: {} })
  t.same(await client.call({ history: { channel: 'in', limit: 1 } }), failed)
  t.same(await client.call({ presence: { channel: 'in' } }), failed)
  t.same(await client.call({ sub_refresh: { channel: 'in', token: 'x' } }), failed)
  t.equal(rig.logs.length, 7)
  for (const [details] of rig.logs) t.match(details, { err: { message: /throw forbidden\(\) to refuse/ } })
})

t.test(
  'case 122: a client whose subscription or connection is ended while its publication waits for a hook',
  async (t) => {
    const rig = await sessionRig(t)
    const decided = pending()
    rig.channel('room', {
      history: true,
      onSubscribe: true,
      publishers: 'subscribers',
      onPublish: () => decided.promise
    })
    rig.channel('box', { history: true, publishers: 'clients', onPublish: () => decided.promise })
    const [client, gone, banned] = [await rig.client(), await rig.client(), await rig.client()]
    for (const one of [client, gone]) await subscribe(one, 'room')
    const answer = publish(client, 'room', 'after its end')
    gone.say({ id: 1, publish: { channel: 'room', data: 'before it left' } })
    for (const one of [gone, banned])
      one.say({ id: 2, publish: { channel: 'box', data: one === gone ? 'left' : 'banned' } })
    client.session.unsubscribe('room')
    gone.end()
    banned.session.disconnect(DISCONNECT.forceStop)
    decided.resolve()
    t.same(await answer, denied)
    const kept = async (channel: string) =>
      (await rig.broker.history(channel, { limit: 10, maxBytes: 10_000, reverse: false })).publications.map(
        ({ data }) => JSON.parse(`${data}`)
      )
    t.same(await kept('room'), ['before it left'])
    t.same(await kept('box'), ['left'])
  }
)

t.test('what no channel offers is refused', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('room')
  const client = await rig.client()
  t.same(await client.call({ subscribe: { channel: 'room', tf: { key: 'a', cmp: 'ex' } } }), {
    error: ERROR.badRequest
  })
  t.same(client.session.channels, [])
})

t.test('a filter is refused if it is not valid, or beside deltas', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('room', { filters: true, delta: true })
  const client = await rig.client()
  const tf = { key: 'a', cmp: 'ex' }
  for (const form of [{ tf: { key: 'a' } }, { tf: 1 }, { tf, delta: 'fossil' }, { tf, type: 1 }]) {
    const answer = await client.call({ subscribe: { channel: 'room', ...form } })
    t.same(answer, { error: ERROR.badRequest }, JSON.stringify(form))
  }
  t.match(await client.call({ subscribe: { channel: 'room', tf } }), { subscribe: {} })
})
