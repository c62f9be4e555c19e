import t from 'tap'
import { RedisDeadlines } from '../../../lib/broker/redis/deadlines.ts'
import { redisSlot } from '../../../lib/broker/redis/slot.ts'
import { RedisSubscriptions } from '../../../lib/broker/redis/subscriptions.ts'
import { pending } from '../../support/pending.ts'
import { FakeClient } from './fake-client.ts'

const UNAVAILABLE = { code: 'FST_RT_UNAVAILABLE' }

function rig(isCluster = false) {
  const state: { client: FakeClient | undefined } = { client: new FakeClient(isCluster) }
  const deadlines = new RedisDeadlines(10_000)
  const subscriptions = new RedisSubscriptions({ isCluster, current: () => state.client?.asRedis, deadlines })
  /** What a client that is made now is subscribed to before it comes into use. */
  const prepared = async () => {
    const client = new FakeClient(isCluster)
    await subscriptions.prepare(client.asRedis)
    return client.callsOf(isCluster ? 'ssubscribe' : 'subscribe').flatMap((call) => call.split(' '))
  }
  return { state, subscriptions, prepared, client: state.client as FakeClient }
}

t.test('a channel is subscribed on the client in use, and on every one after it, until it is removed', async (t) => {
  const { subscriptions, client, prepared } = rig()
  await subscriptions.add('a')
  await subscriptions.add('b')
  await subscriptions.remove('a')
  t.strictSame(client.calls, ['subscribe a', 'subscribe b', 'unsubscribe a'])
  t.strictSame(await prepared(), ['b'])
})

t.test('without a client nothing can be added, and whatever is wanted can be removed', async (t) => {
  const { state, subscriptions, prepared } = rig()
  await subscriptions.add('a')
  state.client = undefined
  await t.rejects(subscriptions.add('b'), UNAVAILABLE)
  await subscriptions.remove('a')
  t.strictSame(await prepared(), [])
})

t.test('a channel that could not be subscribed is not wanted', async (t) => {
  const { client, subscriptions, prepared } = rig()
  client.answers.subscribe = () => Promise.reject(new Error('a secret of the server'))
  await t.rejects(subscriptions.add('a'), { ...UNAVAILABLE, message: 'The broker is unavailable' })
  t.strictSame(await prepared(), [])
})

t.test('one that is removed and added again stays, whatever becomes of the first wish for it', async (t) => {
  const { client, subscriptions, prepared } = rig()
  const answers = [pending(), pending()]
  let asked = 0
  client.answers.subscribe = () => answers[asked++]?.promise
  const first = subscriptions.add('a')
  await subscriptions.remove('a')
  const second = subscriptions.add('a')
  answers[0]?.reject(new Error('Command timed out'))
  await t.rejects(first, UNAVAILABLE)
  answers[1]?.resolve()
  await second
  client.answers.subscribe = () => undefined
  t.strictSame(await prepared(), ['a'])
})

t.test('one that is added while the client is replaced is subscribed on the successor', async (t) => {
  const { client, state, subscriptions } = rig()
  const answer = pending()
  client.answers.subscribe = () => answer.promise
  const added = subscriptions.add('a')
  const successor = new FakeClient()
  state.client = successor
  answer.reject(new Error('Connection is closed.'))
  await added
  t.strictSame(successor.calls, ['subscribe a'])
})

t.test('where there is no successor yet, it is refused', async (t) => {
  const { client, state, subscriptions, prepared } = rig()
  const answer = pending()
  client.answers.subscribe = () => answer.promise
  const added = subscriptions.add('a')
  state.client = undefined
  answer.reject(new Error('Connection is closed.'))
  await t.rejects(added, UNAVAILABLE)
  t.strictSame(await prepared(), [])
})

t.test('a channel is removed once the server says so', async (t) => {
  const { client, subscriptions } = rig()
  await subscriptions.add('a')
  const answer = pending()
  client.answers.unsubscribe = () => answer.promise
  let isRemoved = false
  const removed = subscriptions.remove('a').then(() => {
    isRemoved = true
  })
  await new Promise(setImmediate)
  t.equal(isRemoved, false)
  answer.resolve()
  await removed
})

t.test('removing from a connection that is gone, or refuses, is done all the same', async (t) => {
  const { client, subscriptions, prepared } = rig()
  await subscriptions.add('a')
  client.answers.unsubscribe = () => Promise.reject(new Error('Connection is closed.'))
  await subscriptions.remove('a')
  t.strictSame(await prepared(), [])
})

t.test('a new client is subscribed to everything before it is used, in pieces', async (t) => {
  const { subscriptions } = rig()
  const topics = Array.from({ length: 1_201 }, (_, n) => `room:${n}`)
  await Promise.all(topics.map((topic) => subscriptions.add(topic)))
  const next = new FakeClient()
  await subscriptions.prepare(next.asRedis)
  const pieces = next.callsOf('subscribe').map((call) => call.split(' '))
  t.strictSame(
    pieces.map(({ length }) => length),
    [500, 500, 201]
  )
  t.strictSame(pieces.flat(), topics)
  await subscriptions.adopt(next.asRedis)
  t.equal(next.calls.length, 3, 'and to nothing twice')
})

t.test(
  'what comes while a client is prepared is subscribed too; what comes and goes after, when it is used',
  async (t) => {
    const { subscriptions } = rig()
    for (const topic of ['kept', 'gone']) await subscriptions.add(topic)
    const next = new FakeClient()
    const answers = [pending(), pending()]
    let asked = 0
    next.answers.subscribe = () => answers[asked++]?.promise
    const preparing = subscriptions.prepare(next.asRedis)
    await subscriptions.add('early')
    answers[0]?.resolve()
    await new Promise(setImmediate)
    answers[1]?.resolve()
    await preparing
    t.strictSame(next.calls, ['subscribe kept gone', 'subscribe early'])
    await subscriptions.add('late')
    await subscriptions.remove('gone')
    next.calls.length = 0
    await subscriptions.adopt(next.asRedis)
    t.strictSame(next.calls.sort(), ['subscribe late', 'unsubscribe gone'])
  }
)

t.test('a client that can’t be subscribed is no use', async (t) => {
  const { subscriptions } = rig()
  await subscriptions.add('a')
  const next = new FakeClient()
  next.answers.subscribe = () => Promise.reject(new Error('no'))
  await t.rejects(subscriptions.prepare(next.asRedis), { message: 'no' })
  await t.rejects(subscriptions.adopt(next.asRedis), { message: 'no' })
})

t.test('after a client that failed, the next is prepared from the beginning', async (t) => {
  const { subscriptions, prepared } = rig()
  await subscriptions.add('a')
  t.strictSame(await prepared(), ['a'])
  t.strictSame(await prepared(), ['a'])
})

t.test('the node’s own channels are exchanged without a call', async (t) => {
  const { client, subscriptions, prepared } = rig()
  subscriptions.exchange([], ['old'])
  t.strictSame(await prepared(), ['old'])
  subscriptions.exchange(['old'], ['new'])
  t.strictSame(await prepared(), ['new'])
  t.strictSame(client.calls, [])
})

t.test('in a cluster, what is subscribed together is of one slot', async (t) => {
  const { subscriptions, client } = rig(true)
  const topics = ['{a}1', '{b}1', '{a}2', '{c}1', ...Array.from({ length: 501 }, (_, n) => `{d}${n}`)]
  for (const topic of topics) await subscriptions.add(topic)
  t.strictSame(client.calls.slice(0, 2), ['ssubscribe {a}1', 'ssubscribe {b}1'])
  const next = new FakeClient(true)
  await subscriptions.prepare(next.asRedis)
  const pieces = next.callsOf('ssubscribe').map((call) => call.split(' '))
  for (const piece of pieces) t.equal(new Set(piece.map(redisSlot)).size, 1)
  t.strictSame(
    pieces.map(({ length }) => length),
    [2, 1, 1, 500, 1]
  )
  t.strictSame(pieces.flat().sort(), [...topics].sort())
  await subscriptions.remove('{a}1')
  t.equal(client.calls.at(-1), 'sunsubscribe {a}1')
})
