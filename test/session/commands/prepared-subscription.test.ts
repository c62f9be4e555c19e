import t from 'tap'
import { ERROR } from '../../../lib/protocol/channel-errors.ts'
import {
  fitting,
  openSubscription,
  type PreparationOptions,
  prepareSubscription
} from '../../../lib/session/commands/prepared-subscription.ts'
import type { Subscription } from '../../../lib/session/subscription.ts'
import { pending } from '../../support/pending.ts'
import { asJson, type Client, quiet, sessionRig } from '../session-rig.ts'

const prepare = ({ session }: Client, channel: string, options: PreparationOptions = {}) =>
  prepareSubscription(session, openSubscription(session, channel, false), options)

/** Subscribes a client to a channel, and gives the result that it is answered with. */
async function subscribed(client: Client, channel: string, options?: PreparationOptions) {
  const prepared = await prepare(client, channel, options)
  const result = asJson(prepared.result())
  prepared.begin()
  return result
}

t.test('a subscription is entered once, and so many at most', async (t) => {
  const rig = await sessionRig(t, { maxSubscriptions: 2 })
  rig.channel('rooms/:room')
  const { session } = await rig.client()
  const subscription = openSubscription(session, 'rooms/1', true)
  t.match(subscription, { channel: 'rooms/1', params: { room: '1' }, byServer: true, live: false })
  t.equal(session.subscriptions.get('rooms/1'), subscription)
  t.throws(() => openSubscription(session, 'rooms/1', false), { code: ERROR.alreadySubscribed.code })
  openSubscription(session, 'rooms/2', false)
  t.throws(() => openSubscription(session, 'rooms/3', false), { code: ERROR.limitExceeded.code })
  t.equal(session.subscriptions.size, 2)
})

t.test('presence first, then the stream, then the client’s answer, then the others', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('room', { history: true, presenceTtl: 30_000, joinLeave: true })
  const watcher = await rig.client({ user: { sub: 'bob' } })
  await watcher.call({ subscribe: { channel: 'room', join_leave: true } })
  await watcher.heard()
  const { calls } = rig.broker
  const client = await rig.client()
  calls.length = 0
  const prepared = await prepare(client, 'room')
  const subscription = client.session.subscriptions.get('room') as Subscription
  calls.push(`result ${subscription.live}`)
  prepared.result()
  prepared.begin()
  await quiet()
  t.same(calls, ['add room', 'result false', 'join room'])
  t.equal(subscription.live, true)
  const info = { user: 'ada', client: client.connection.id }
  t.same(await watcher.heard(), [{ push: { channel: 'room', join: { info } } }])
  subscription.drop({ code: 0, reason: '' })
  t.same(await watcher.heard(), [{ push: { channel: 'room', leave: { info } } }])
})

t.test('a channel may tell who comes without knowing who is there, and the other way round', async (t) => {
  const rig = await sessionRig(t, { authenticated: false })
  rig.channel('told', { joinLeave: true })
  rig.channel('known', { presenceTtl: 30_000 })
  const client = await rig.client({ user: null })
  for (const channel of ['told', 'known']) await subscribed(client, channel, { joinLeave: true })
  t.same(await client.heard(), [{ push: { channel: 'told', join: { info: { user: '', client: 'c1' } } } }])
  t.same(await rig.broker.presence('told'), [])
  t.match(await rig.broker.presence('known'), [{ connection: 'c1', user: '' }])
})

t.test('a client that does not ask receives no joins and leaves, but the publications like the others', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('room', { history: true, joinLeave: true })
  const clients = [await rig.client(), await rig.client()] as const
  await subscribed(clients[0], 'room', { joinLeave: true })
  await subscribed(clients[1], 'room')
  await clients[0].heard()
  t.same(await clients[1].heard(), [])
  const third = await rig.client()
  await subscribed(third, 'room')
  t.match(await clients[0].heard(), [{ push: { join: {} } }])
  await rig.publish('room', 1)
  for (const client of [...clients, third]) {
    t.match(await client.heard(), [{ push: { channel: 'room', pub: { data: 1, offset: 1 } } }])
  }
})

t.test('nothing of the channel is sent before the client is answered', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('room', { history: true })
  const client = await rig.client()
  const prepared = await prepare(client, 'room')
  await rig.publish('room', 1)
  t.same(await client.heard(), [])
  prepared.result()
  prepared.begin()
  t.match(await client.heard(), [{ push: { pub: { data: 1, offset: 1 } } }])
})

t.test('with what was missed, as far as it fits; the rest follows', async (t) => {
  const rig = await sessionRig(t, { limits: { buffered: { soft: 1_000, hard: 2_500 } } })
  rig.channel('large', { history: true })
  const { epoch } = await rig.publish('large', 'first', ...Array(5).fill('x'.repeat(998)))
  const client = await rig.client()
  const result = await subscribed(client, 'large', { since: { offset: 1, epoch } })
  t.match(result, {
    recoverable: true,
    positioned: true,
    epoch,
    offset: 1,
    was_recovering: true,
    recovered: true,
    publications: [{ offset: 2 }, { offset: 3 }]
  })
  t.equal((result.publications as unknown[]).length, 2)
  t.match(
    (await client.heard()).map(({ push }) => (push as { pub: { offset: number } }).pub.offset),
    [4, 5, 6]
  )
})

t.test('what fits is counted in bytes, and is one publication at least', async (t) => {
  const rig = await sessionRig(t, { limits: { buffered: { soft: 1, hard: 10 } } })
  const { session } = await rig.client()
  const of = (...sizes: number[]) =>
    fitting(
      session,
      sizes.map((size) => ({ offset: 1, epoch: 'e', data: Buffer.alloc(size) }))
    )
  t.equal(of(), 0)
  t.equal(of(5, 5), 2)
  t.equal(of(5, 6), 1)
  t.equal(of(11, 1), 1)
})

t.test('who has seen nothing yet gets all there is', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('kept', { history: true })
  rig.channel('plain')
  const { epoch } = await rig.publish('kept', 1, 2)
  const start = { offset: 0, epoch: '' }
  t.match(await subscribed(await rig.client(), 'kept', { since: start }), {
    recovered: true,
    epoch,
    offset: 0,
    publications: [{}, {}]
  })
  t.same(
    await subscribed(await rig.client(), 'kept', { since: { offset: 1, epoch: '' } }),
    { recoverable: true, positioned: true, epoch, offset: 2, was_recovering: true },
    'an offset without an epoch says nothing'
  )
  t.same(await subscribed(await rig.client(), 'plain', { since: start }), { was_recovering: true })
})

t.test(
  'if what was missed is no longer available, the result says so, or the client is refused if it asked for that',
  async (t) => {
    const rig = await sessionRig(t)
    rig.channel('room', { history: true })
    await rig.publish('room', 1)
    const since = { offset: 0, epoch: 'other' }
    const client = await rig.client()
    t.match(await subscribed(client, 'room', { since }), { was_recovering: true, recovered: undefined, offset: 1 })
    const strict = await rig.client()
    const command = { subscribe: { channel: 'room', recover: true, flag: 2, ...since } }
    t.same(await strict.call(command), { error: ERROR.unrecoverablePosition })
    t.same(strict.session.channels, [])
    await rig.publish('room', 2)
    t.same(await strict.heard(), [], 'and nothing is left of it')
  }
)

t.test('what the application gives along', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('room', { token: true })
  const client = await rig.client()
  const expiresAt = Date.now() / 1000 + 100
  const options = { data: { motd: 'hi' }, info: { seat: 1 }, expiresAt }
  t.match(await subscribed(client, 'room', options), { data: { motd: 'hi' }, expires: true, ttl: /^(89|90)$/ })
  t.match(JSON.parse(`${client.session.subscriptions.get('room')?.info}`), { chan_info: { seat: 1 } })
})

t.test('if it can’t be made, nothing is left of it', async (t) => {
  const ended = { code: 0, reason: '' }
  const failures: Record<string, (rig: Awaited<ReturnType<typeof sessionRig>>) => void> = {
    presence: ({ broker }) => {
      broker.addPresence = () => Promise.reject(new Error('away'))
    },
    'the stream': ({ broker }) => {
      broker.away = true
    }
  }
  for (const [what, fail] of Object.entries(failures)) {
    await t.test(what, async (t) => {
      const rig = await sessionRig(t)
      const ends: unknown[] = []
      rig.channel('room', { history: true, presenceTtl: 30_000, joinLeave: true, onUnsubscribe: () => ends.push(1) })
      const client = await rig.client()
      fail(rig)
      const subscription = openSubscription(client.session, 'room', false)
      await t.rejects(prepareSubscription(client.session, subscription, {}), { message: 'away' })
      await quiet()
      t.same(client.session.channels, [])
      t.same(rig.hub.channelsOf(client.session), [])
      t.equal(subscription.live, false)
      t.same(await rig.broker.presence('room'), [])
      t.same(ends, [], 'it had never begun')
      subscription.drop(ended)
      rig.broker.away = false
      await rig.publish('room', 1)
      t.same(await client.heard(), [])
    })
  }
})

t.test('a subscription that is ended while it is made is refused, at whichever step', async (t) => {
  const ended = { code: 2000, reason: 'server unsubscribe' }
  const refused = { code: ERROR.permissionDenied.code }

  await t.test('while presence is entered', async (t) => {
    const rig = await sessionRig(t)
    rig.channel('room', { history: true, presenceTtl: 30_000 })
    const client = await rig.client()
    const entered = pending()
    rig.broker.addPresence = () => entered.promise
    const subscription = openSubscription(client.session, 'room', false)
    const preparing = t.rejects(prepareSubscription(client.session, subscription, {}), refused)
    subscription.drop(ended)
    entered.resolve()
    await preparing
    t.notOk(rig.broker.calls.includes('subscribe room'), 'nor is the broker asked for the channel')
  })

  await t.test('before the client is answered', async (t) => {
    const rig = await sessionRig(t)
    rig.channel('room', { history: true, joinLeave: true })
    const watcher = await rig.client()
    await watcher.call({ subscribe: { channel: 'room' } })
    await watcher.heard()
    const client = await rig.client()
    const prepared = await prepare(client, 'room')
    client.session.subscriptions.get('room')?.drop(ended)
    t.throws(() => prepared.result(), refused)
    await rig.publish('room', 1)
    t.same(await client.heard(), [])
    t.match(await watcher.heard(), [{ push: { pub: {} } }], 'nor has anybody heard that it came')
  })
})

t.test('case 140: what a recovery sends is charged, in the answer and behind it', async (t) => {
  const rig = await sessionRig(t, { limits: { buffered: { soft: 65_536, hard: 50_000 } } })
  rig.channel('room', { history: true })
  const { epoch } = await rig.publish('room', ...Array.from({ length: 10 }, () => 'x'.repeat(10_000)))
  const client = await rig.client()
  await client.call({ subscribe: { channel: 'room' } })
  await client.call({ unsubscribe: { channel: 'room' } })
  t.same(client.connection.spent, [], 'nothing was missed')
  await client.call({ subscribe: { channel: 'room', recover: true, offset: 0, epoch } })
  t.equal(client.connection.spent.length, 7, 'one answer, and six publications that do not fit in it')
  const sum = client.connection.spent.reduce((bytes, more) => bytes + more, 0)
  t.ok(sum > 100_000 && sum < 110_000, `${sum} bytes`)
})

t.test('case 180: a join and a leave cost as much as is sent to all receivers', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('room', { joinLeave: true })
  rig.channel('quiet', { presenceTtl: 30_000 })
  for (let n = 0; n < 5; n++) {
    const watcher = await rig.client()
    await watcher.call({ subscribe: { channel: 'room', join_leave: true } })
  }
  const client = await rig.client()
  for (const channel of ['room', 'quiet']) {
    await client.call({ subscribe: { channel } })
    await client.call({ unsubscribe: { channel } })
  }
  t.same(client.connection.spent, [5 * 1_024, 5 * 1_024])
  client.connection.spent.length = 0
  const loud = await rig.client({ user: { sub: 'loud', info: 'x'.repeat(3_000) } })
  await loud.call({ subscribe: { channel: 'room' } })
  t.ok((loud.connection.spent[0] ?? 0) > 5 * 3_000, 'by its size, where that is more')
})

t.test('deltas only if the channel has them, the client takes them, and nothing is filtered', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('deltas', { delta: true })
  rig.channel('plain')
  const filter = { key: 'k', cmp: 'ex' } as const
  const rows: [channel: string, options: PreparationOptions, hasDeltas: boolean][] = [
    ['deltas', { takesDeltas: true }, true],
    ['deltas', {}, false],
    ['deltas', { takesDeltas: true, filter }, false],
    ['deltas', { takesDeltas: true, clientFilter: () => true }, false],
    ['plain', { takesDeltas: true }, false]
  ]
  for (const [channel, options, hasDeltas] of rows) {
    const result = await subscribed(await rig.client(), channel, options)
    t.equal(result.delta, hasDeltas ? true : undefined, `${channel} ${Object.keys(options)}`)
  }
  const client = await rig.client()
  await subscribed(client, 'deltas', { takesDeltas: true, joinLeave: true })
  await rig.publish('deltas', { n: 1 })
  t.same(await client.heard(), [{ push: { channel: 'deltas', pub: { data: '{"n":1}' } } }])
})

t.test('what was missed passes the filters; a client that gets nothing of it goes on behind it', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('room', { history: true })
  const tags = (n: number): Record<string, string> => ({ parity: n % 2 === 0 ? 'even' : 'odd' })
  const { epoch } = await rig.hub.publish('room', 1, { tags: tags(1) })
  for (const n of [2, 3]) await rig.hub.publish('room', n, { tags: tags(n) })
  const since = { offset: 0, epoch }
  const even = { key: 'parity', cmp: 'eq', val: 'even' } as const
  const client = await rig.client()
  t.match(await subscribed(client, 'room', { since, filter: even }), {
    recovered: true,
    offset: 0,
    publications: [{ data: 2, offset: 2, tags: { parity: 'even' } }]
  })
  const none = { key: 'parity', cmp: 'eq', val: 'none' } as const
  const result = await subscribed(await rig.client(), 'room', { since, filter: none })
  t.match(result, { recovered: true, offset: 3 })
  t.equal(result.publications, undefined)
  await t.rejects(subscribed(await rig.client(), 'room', { filter: { key: 'k' } }), TypeError)
})

t.test('where only the newest counts, a client is not refused', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('state', { history: { size: 1, ttl: 60_000 }, recover: 'latest' })
  const since = { offset: 7, epoch: 'e' }
  const result = await subscribed(await rig.client(), 'state', { since, rejectUnrecovered: true })
  t.match(result, { was_recovering: true, offset: 0 })
  t.equal(result.recovered, undefined)
  const { epoch } = await rig.publish('state', 1, 2, 3)
  t.match(await subscribed(await rig.client(), 'state', { since, rejectUnrecovered: true }), {
    recovered: true,
    offset: 3,
    epoch,
    publications: [{ data: 3, offset: 3 }]
  })
})
