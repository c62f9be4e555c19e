import t from 'tap'
import { makeRig, type Rig } from './rig.ts'

/*
 * A node learns of a new epoch, or of a loss, while it is in the middle of something else. Each of these joined two
 * epochs without a word, or lost something, when the checker's author first read the code.
 */

/** Has the history replaced behind the node's back. */
async function replaceHistory(rig: Rig, ...values: unknown[]): Promise<void> {
  // Those who have just subscribed are given what is newer a turn later.
  await rig.written()
  rig.broker.silent = true
  rig.broker.lost = () => true
  await rig.broker.removeHistory('h')
  await rig.publish('h', ...values)
  rig.broker.lost = () => false
  rig.broker.silent = false
}

t.test('a client that recovers knows of a new epoch before its node does', async (t) => {
  const rig = await makeRig(t)
  const old = rig.reader()
  const { epoch } = await rig.subscribe(old, 'h')
  await rig.publish('h', 1, 2, 3)
  await replaceHistory(rig, 'a', 'b')
  const { position } = await rig.broker.history('h', { limit: 0 })
  const client = rig.reader()
  const result = await rig.subscribe(client, 'h', { offset: 1, epoch: position.epoch })
  t.strictSame(result, { recovered: true, offset: 2, epoch: position.epoch })
  await rig.publish('h', 'c')
  await rig.written()
  t.strictSame(client.data, ['b', 'c'])
  t.strictSame(client.holes, [])
  t.strictSame(old.data, [1, 2, 3, 'c'])
  t.match(old.holes, [{ position: { offset: 2, epoch: position.epoch } }])
  t.not(epoch, position.epoch)
})

t.test('a history whose epoch changes with every read can’t be recovered from', async (t) => {
  const rig = await makeRig(t)
  const { epoch } = await rig.subscribe(rig.reader(), 'h')
  const history = rig.broker.history.bind(rig.broker)
  let reads = 0
  rig.broker.history = async (channel, query) => {
    const page = await history(channel, query)
    return { ...page, position: { ...page.position, epoch: `${reads++}` } }
  }
  await t.rejects(rig.subscribe(rig.reader(), 'h', { offset: 0, epoch }), { code: 'FST_RT_UNAVAILABLE' })
})

t.test('a loss while a subscriber’s history is read: read again', async (t) => {
  const rig = await makeRig(t)
  const { epoch } = await rig.subscribe(rig.reader(), 'h')
  await rig.publish('h', 1, 2)
  const history = rig.broker.history.bind(rig.broker)
  let release: () => void = () => undefined
  rig.broker.history = async (channel, query) => {
    const page = await history(channel, query)
    if (query.since?.epoch === epoch && query.since.offset === 0) await new Promise<void>((next) => (release = next))
    return page
  }
  const client = rig.reader()
  const subscribing = rig.subscribe(client, 'h', { offset: 0, epoch })
  await rig.written()
  // The node hears of the new epoch first; the page that is under way is of the old one.
  await rig.broker.removeHistory('h')
  await rig.publish('h', 'a')
  await rig.written()
  release()
  await rig.written()
  release()
  const result = await subscribing
  t.match(result, { recovered: false, offset: 1 })
  t.not(result.epoch, epoch)
  await rig.publish('h', 'b')
  await rig.written()
  t.strictSame(client.data, ['b'])
})

t.test('an audit that comes while the position is found out is made after it', async (t) => {
  const rig = await makeRig(t)
  const reader = rig.reader()
  const release = rig.broker.holdHistory()
  const subscribing = rig.subscribe(reader, 'h')
  await rig.broker.called('position')
  // Published after the position was read, and lost; the audit that says so comes before the answer.
  rig.broker.lost = () => true
  await rig.publish('h', 1)
  rig.hub.audit(['h'])
  release()
  await subscribing
  await rig.written()
  t.strictSame(reader.data, [1])
})

t.test('nobody is served who left while the channel was opened', async (t) => {
  const rig = await makeRig(t)
  const stays = rig.reader()
  const leaves = rig.reader()
  const release = rig.broker.holdHistory()
  const subscribing = [rig.subscribe(stays, 'h'), rig.subscribe(leaves, 'h', { offset: 0, epoch: 'x' })]
  await rig.broker.called('position')
  rig.hub.unsubscribe(leaves, 'h')
  release()
  t.match(await Promise.all(subscribing), [{ recovered: false }, { recovered: false }])
  await rig.publish('h', 1)
  await rig.written()
  t.strictSame(stays.data, [1])
  t.strictSame(leaves.data, [])
})

t.test('while the broker is away a publication doesn’t ask it again', async (t) => {
  const rig = await makeRig(t)
  const reader = rig.reader()
  await rig.subscribe(reader, 'h')
  await rig.publish('h', 1)
  rig.broker.lost = ({ offset }) => offset === 2
  rig.broker.away = true
  Object.defineProperty(rig.broker, 'up', { get: () => !rig.broker.away })
  await rig.publish('h', 2, 3, 4, 5)
  await rig.written()
  t.strictSame(rig.failures, ['repair'])
  rig.broker.away = false
  rig.hub.audit(['h'])
  await rig.written()
  t.strictSame(reader.data, [1, 2, 3, 4, 5])
})

t.test('a channel that could not be opened takes nothing', async (t) => {
  const rig = await makeRig(t)
  const history = rig.broker.history.bind(rig.broker)
  rig.broker.history = () => Promise.reject(new Error('away'))
  const reader = rig.reader()
  await t.rejects(rig.subscribe(reader, 'h'), { message: 'away' })
  await rig.publish('h', 1)
  await rig.written()
  t.strictSame(rig.failures, [])
  rig.broker.history = history
  t.match(await rig.subscribe(reader, 'h'), { recovered: false, offset: 1 })
  t.strictSame(reader.data, [])
})

t.test('a hole that the node finds is none for who has read further', async (t) => {
  const rig = await makeRig(t, { size: 3, ttl: 60_000 })
  const live = rig.reader()
  const { epoch } = await rig.subscribe(live, 'h')
  await rig.publish('h', 1)
  rig.broker.lost = ({ offset }) => offset > 1 && offset < 6
  await rig.publish('h', 2, 3, 4, 5)
  const release = rig.broker.holdHistory()
  const client = rig.reader()
  const subscribing = rig.subscribe(client, 'h', { offset: 4, epoch })
  await rig.broker.called('history 4')
  release()
  t.match(await subscribing, { recovered: true, offset: 5 })
  await rig.written()
  rig.broker.lost = () => false
  rig.hub.audit(['h'])
  await rig.written()
  await rig.publish('h', 6)
  await rig.written()
  t.strictSame(client.data, [5, 6])
  t.strictSame(client.holes, [])
  t.strictSame(live.data, [1, 6])
  t.match(live.holes, [{ position: { offset: 5 } }])
})
