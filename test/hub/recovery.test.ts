import t from 'tap'
import { socketFormat } from '../../lib/hub/feed.ts'
import { continuityOf } from '../../lib/hub/recovery.ts'
import { makeRig } from './rig.ts'

const range = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, i) => first + i)
const LARGE = { size: 10_000, ttl: 60_000 }

t.test('how a page goes on from a position', async (t) => {
  const page = (top: number, ...offsets: number[]) => ({
    position: { offset: top, epoch: 'e' },
    publications: offsets.map((offset) => ({ offset, epoch: 'e', data: Buffer.from('0') }))
  })
  const since = { offset: 3, epoch: 'e' }
  t.equal(continuityOf(since, page(3)), 'complete')
  t.equal(continuityOf(since, page(5, 4, 5)), 'complete')
  t.equal(continuityOf(since, page(6, 4, 5)), 'partial')
  t.equal(continuityOf(since, page(5)), 'gap', 'nothing is kept')
  t.equal(continuityOf(since, page(6, 5, 6)), 'gap', 'the first is gone')
  t.equal(continuityOf(since, page(6, 4, 6)), 'gap', 'one between is gone')
  t.equal(continuityOf(since, page(2)), 'gap', 'a position from the future')
  t.equal(continuityOf({ offset: 3, epoch: 'f' }, page(5, 4, 5)), 'gap', 'another history')
})

t.test('a long absence is made up for in pages, of so many publications and of so many bytes', async (t) => {
  const rig = await makeRig(t, LARGE)
  const { epoch } = await rig.subscribe(rig.reader(), 'h')
  await rig.publish('h', ...range(1, 2_500))
  const reader = rig.reader({ soft: 1_000_000, hard: 10_000_000 })
  t.same(await rig.subscribe(reader, 'h', { offset: 0, epoch }), { recovered: true, offset: 2_500, epoch })
  t.same(
    rig.broker.calls.filter((call) => call.startsWith('history')),
    ['history 0', 'history 1000', 'history 2000']
  )
  await rig.publish('h', 2_501)
  await rig.written()
  t.same(reader.data, range(1, 2_501))

  await rig.subscribe(rig.reader(), 'h2')
  await rig.publish('h2', ...range(1, 4).map((n) => String(n).repeat(100_000)))
  const other = rig.reader({ soft: 1_000_000, hard: 10_000_000 })
  t.match(
    await rig.subscribe(other, 'h2', {
      offset: 1,
      epoch: (await rig.broker.history('h2', { limit: 0 })).position.epoch
    }),
    {
      recovered: true,
      offset: 4
    }
  )
  t.same(rig.broker.calls.slice(-2), ['history 1', 'history 3'], 'two of 100,000 bytes fit into a page')
  await rig.written()
  t.same(other.offsets, [2, 3, 4])
})

t.test(
  'what is new comes only after whoever subscribed has heard the result, however many pages it took',
  async (t) => {
    const rig = await makeRig(t, LARGE)
    const { epoch } = await rig.subscribe(rig.reader(), 'h')
    await rig.publish('h', ...range(1, 1_500))
    const reader = rig.reader({ soft: 1_000_000, hard: 10_000_000 })
    const release = rig.broker.holdHistory()
    const subscribing = rig.subscribe(reader, 'h', { offset: 0, epoch })
    await rig.broker.called('history 0')
    release()
    const again = rig.broker.holdHistory()
    await rig.broker.called('history 1000')
    await rig.publish('h', 1_501)
    again()
    t.match(await subscribing, { recovered: true, offset: 1_500 })
    reader.outbox.flush()
    t.equal(reader.data.length, 1_500)
    await rig.written()
    t.same(reader.data, range(1, 1_501))
  }
)

t.test('a recovery leaves out what is not for the connection, and goes on behind it', async (t) => {
  const rig = await makeRig(t)
  const { epoch } = await rig.subscribe(rig.reader(), 'h')
  const ada = rig.reader()
  rig.connections.set('ada', ada)
  const publish = (data: number, except?: string) => rig.hub.publish('h', data, { except })
  for (const data of [1, 2, 3, 4]) await publish(data, data % 2 === 0 ? 'ada' : 'bob')
  t.same(await rig.subscribe(ada, 'h', { offset: 0, epoch }), { recovered: true, offset: 4, epoch })
  // Published before it is live, and behind what it was given.
  await publish(5, 'ada')
  await publish(6)
  await rig.written()
  t.same(ada.data, [1, 3, 6])

  // A slow reader is served from history, too.
  ada.slow = true
  const large = 'x'.repeat(2_000)
  await rig.hub.publish('h', large, undefined)
  await rig.written()
  await rig.hub.publish('h', large, undefined)
  await rig.written()
  await publish(9, 'ada')
  await publish(10)
  await rig.written()
  ada.read()
  await rig.written()
  t.same(ada.offsets, [1, 3, 6, 7, 8, 10])
  await publish(11, 'ada')
  await publish(12)
  await rig.written()
  t.same(ada.offsets, [1, 3, 6, 7, 8, 10, 12])
  t.same(ada.holes, [])
  t.same([rig.repairs, rig.failures], [[], []])
})

t.test('history that is trimmed while it is read is no recovery', async (t) => {
  const rig = await makeRig(t, LARGE)
  const { epoch } = await rig.subscribe(rig.reader(), 'h')
  await rig.publish('h', ...range(1, 1_500))
  const reader = rig.reader({ soft: 1_000_000, hard: 10_000_000 })
  const release = rig.broker.holdHistory()
  const subscribing = rig.subscribe(reader, 'h', { offset: 0, epoch })
  await rig.broker.called('history 0')
  await rig.broker.publish('h', Buffer.from('1501'), { history: { size: 1, ttl: 60_000 } })
  release()
  t.same(await subscribing, { recovered: false, offset: 1_501, epoch })
  await rig.publish('h', 1_502)
  await rig.written()
  t.same(reader.data, [...range(1, 1_000), 1_502], 'what it was given is in order, and it was told of the rest')
  t.same(reader.holes, [])
  t.same(rig.recoveries, [false])
})

t.test('a node that missed much repairs itself in pages', async (t) => {
  const rig = await makeRig(t, LARGE)
  const reader = rig.reader({ soft: 1_000_000, hard: 10_000_000 })
  await rig.subscribe(reader, 'h')
  rig.broker.lost = ({ offset }) => offset < 2_400
  await rig.publish('h', ...range(1, 2_500))
  await rig.written()
  t.same(reader.data, range(1, 2_500))
  t.same(rig.repairs, [true], 'one repair')
  t.same(reader.holes, [])
})

t.test('those who come back together share what is read', async (t) => {
  const rig = await makeRig(t)
  const { epoch } = await rig.subscribe(rig.reader(), 'h')
  await rig.publish('h', ...range(1, 5))
  const readers = range(1, 20).map(() => rig.reader())
  const results = await Promise.all(readers.map((reader) => rig.subscribe(reader, 'h', { offset: 2, epoch })))
  t.ok(results.every(({ recovered, offset }) => recovered && offset === 5))
  await rig.publish('h', 6)
  await rig.written()
  for (const reader of readers) t.same(reader.offsets, [3, 4, 5, 6])
  t.equal(rig.broker.calls.filter((call) => call === 'history 2').length, 1)
  const late = rig.reader()
  await rig.subscribe(late, 'h', { offset: 2, epoch })
  await rig.written()
  t.same(late.offsets, [3, 4, 5, 6], 'only while it is being read')
  t.equal(rig.broker.calls.filter((call) => call === 'history 2').length, 2)
})

t.test('an answer that is older than what the node has given since is not shared', async (t) => {
  const rig = await makeRig(t)
  const { epoch } = await rig.subscribe(rig.reader(), 'h')
  await rig.publish('h', 1, 2)
  const [first, second] = [rig.reader(), rig.reader()]
  const release = rig.broker.holdHistory()
  const firstSubscribing = rig.subscribe(first, 'h', { offset: 0, epoch })
  await rig.broker.called('history 0')
  // Not in the answer, and given to the live before the second one comes.
  await rig.publish('h', 3)
  const secondSubscribing = rig.subscribe(second, 'h', { offset: 0, epoch })
  await rig.written()
  release()
  t.match(await firstSubscribing, { recovered: true, offset: 2 })
  t.match(await secondSubscribing, { recovered: true, offset: 3 })
  await rig.publish('h', 4)
  await rig.written()
  for (const reader of [first, second]) t.same(reader.offsets, [1, 2, 3, 4])
  t.equal(rig.broker.calls.filter((call) => call === 'history 0').length, 2)
})

t.test(
  'what a prepared subscriber does not take of the first page comes as frames, and so do the next pages',
  async (t) => {
    const rig = await makeRig(t, LARGE)
    const { epoch } = await rig.subscribe(rig.reader(), 'h')
    await rig.publish('h', ...range(1, 1_200))
    for (const taken of [1_000, 400]) {
      const reader = rig.reader({ soft: 1_000_000, hard: 10_000_000 })
      const { missed, begin, ...result } = await rig.hub.prepare(reader, 'h', socketFormat, 'start')
      t.same(result, { recovered: true, offset: 1_200, epoch })
      t.equal(missed.length, 1_000)
      rig.hub.caughtUp(reader)
      rig.hub.audit(['h'])
      await rig.written()
      t.same(reader.data, [], 'nothing makes it begin but its subscriber')
      begin(taken)
      await rig.written()
      t.same(reader.data, range(taken + 1, 1_200))
      rig.hub.unsubscribe(reader, 'h')
    }
  }
)

t.test('from the start of a history whose beginning is gone there is no recovery', async (t) => {
  const rig = await makeRig(t, { size: 2, ttl: 60_000 })
  await rig.publish('h', 1, 2, 3)
  const reader = rig.reader()
  t.match(await rig.hub.subscribe(reader, 'h', socketFormat, { since: 'start' }), { recovered: false, offset: 3 })
  await rig.written()
  t.same(reader.data, [])
})

t.test('if only the newest counts, what was deleted is no gap', async (t) => {
  const page = (top: number, ...offsets: number[]) => ({
    position: { offset: top, epoch: 'e' },
    publications: offsets.map((offset) => ({ offset, epoch: 'e', data: Buffer.from('0') }))
  })
  const since = { offset: 3, epoch: 'e' }
  t.equal(continuityOf(since, page(3), true), 'complete')
  t.equal(continuityOf(since, page(9, 9), true), 'complete')
  t.equal(continuityOf(since, page(9), true), 'complete', 'the newest has expired')
  t.equal(continuityOf(since, page(9, 7, 8), true), 'partial')
  t.equal(continuityOf(since, page(2), true), 'gap')
  t.equal(continuityOf({ offset: 3, epoch: 'f' }, page(9, 9), true), 'gap')
})

const LATEST = { size: 1, ttl: 60_000 }

t.test('where only the newest counts, a socket gets that one, and what comes later', async (t) => {
  const rig = await makeRig(t, LATEST, { isLatestOnly: true })
  await rig.publish('h', 1, 2, 3)
  const { epoch } = (await rig.broker.history('h', { limit: 0 })).position
  const positions = [
    { offset: 0, epoch },
    { offset: 2, epoch: 'another' },
    { offset: -1, epoch },
    { offset: 99, epoch }
  ]
  for (const since of positions) {
    const reader = rig.reader()
    t.same(await rig.subscribe(reader, 'h', since), { recovered: true, offset: 3, epoch })
    await rig.written()
    t.same(reader.data, [3], JSON.stringify(since))
  }
  const known = rig.reader()
  t.same(await rig.subscribe(known, 'h', { offset: 3, epoch }), { recovered: true, offset: 3, epoch })
  await rig.publish('h', 4)
  await rig.written()
  t.same(known.data, [4])
  t.same(rig.recoveries, [true, true, true, true, true])
})

t.test('where only the newest counts, and there is none', async (t) => {
  const rig = await makeRig(t, LATEST, { isLatestOnly: true })
  const reader = rig.reader()
  t.match(await rig.subscribe(reader, 'h', { offset: 5, epoch: 'e' }), { recovered: false, offset: 0 })
  await rig.publish('h', 1)
  await rig.written()
  t.same(reader.data, [1])
  t.same(rig.recoveries, [false])
})

t.test('where only the newest counts, a slow reader and a node that missed some go on without a gap', async (t) => {
  const rig = await makeRig(t, LATEST, { isLatestOnly: true })
  const [quick, slow] = [rig.reader(), rig.reader()]
  for (const reader of [quick, slow]) await rig.subscribe(reader, 'h')
  await rig.publish('h', 1)
  await rig.written()
  slow.slow = true
  slow.outbox.send(Buffer.alloc(2_000))
  await rig.written()
  await rig.publish('h', 2, 3)
  await rig.written()
  // The node does not receive them, and finds that out with the next one.
  rig.broker.lost = ({ offset }) => offset === 4 || offset === 5
  await rig.publish('h', 4, 5, 6)
  await rig.written()
  t.same(quick.data, [1, 2, 3, 6])
  slow.read()
  await rig.written()
  await rig.publish('h', 7)
  await rig.written()
  for (const reader of [quick, slow]) t.same(reader.holes, [])
  t.match(
    slow.texts.slice(-2).map((text) => JSON.parse(text).data),
    [6, 7]
  )
  t.same(rig.repairs, [true])
})

t.test('one that is slow when it subscribes gets the newest once it reads', async (t) => {
  const rig = await makeRig(t, LATEST, { isLatestOnly: true })
  await rig.publish('h', 1, 2)
  const { epoch } = (await rig.broker.history('h', { limit: 0 })).position
  const reader = rig.reader()
  reader.slow = true
  reader.outbox.send(Buffer.alloc(2_000))
  await rig.written()
  const { missed, begin } = await rig.hub.prepare(reader, 'h', socketFormat, { offset: 1, epoch })
  t.equal(missed.length, 1)
  begin(0)
  await rig.written()
  await rig.publish('h', 3)
  await rig.written()
  reader.read()
  await rig.written()
  await rig.publish('h', 4)
  await rig.written()
  t.same(
    reader.texts.slice(-2).map((text) => JSON.parse(text).data),
    [3, 4]
  )
  t.same(reader.holes, [])
})
