import t from 'tap'
import { socketFormat } from '../../lib/hub/feed.ts'
import { textFrame } from '../../lib/protocol/frame.ts'
import { makeRig } from './rig.ts'

const range = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, i) => first + i)

t.test('subscribers of a channel with history are told where they begin', async (t) => {
  const rig = await makeRig(t)
  await rig.publish('h', 1, 2)
  const reader = rig.reader()
  const { recovered, offset, epoch } = await rig.subscribe(reader, 'h')
  t.match({ recovered, offset }, { recovered: false, offset: 2 })
  await rig.publish('h', 3)
  await rig.written()
  t.strictSame(reader.messages, [{ channel: 'h', data: 3, offset: 3, epoch }])
})

t.test('since a position: what was missed comes first, then what is new, each once', async (t) => {
  const rig = await makeRig(t)
  const first = rig.reader()
  const start = await rig.subscribe(first, 'h')
  await rig.publish('h', 1, 2, 3)
  const second = rig.reader()
  const release = rig.broker.holdHistory()
  const subscribing = rig.subscribe(second, 'h', { offset: 1, epoch: start.epoch })
  await rig.broker.called('history 1')
  // Not in what history answered, and in what it would answer now.
  await rig.publish('h', 4, 5)
  release()
  t.match(await subscribing, { recovered: true, offset: 3, epoch: start.epoch })
  await rig.publish('h', 6)
  await rig.written()
  await rig.publish('h', 7)
  await rig.written()
  t.strictSame(second.offsets, range(2, 7))
  t.strictSame(first.offsets, range(1, 7))
  t.strictSame(rig.recoveries, [true])
  t.ok(rig.lags.length > 0 && rig.lags.every((lag) => lag >= 0 && lag < 5000))
})

t.test('what is newer waits until whoever subscribed has heard the result', async (t) => {
  const rig = await makeRig(t)
  const reader = rig.reader()
  await rig.publish('h', 1)
  const release = rig.broker.holdHistory()
  const subscribing = rig.subscribe(reader, 'h', { offset: 0, epoch: 'another' })
  await rig.broker.called('position')
  release()
  const again = rig.broker.holdHistory()
  await rig.broker.called('history 0')
  await rig.publish('h', 2)
  again()
  const { recovered, offset } = await subscribing
  t.match({ recovered, offset }, { recovered: false, offset: 1 })
  t.equal(reader.messages.length, 0)
  await rig.written()
  t.strictSame(reader.offsets, [2])
})

t.test('what is published while the channel is being opened comes once, in order', async (t) => {
  const rig = await makeRig(t)
  const reader = rig.reader()
  await rig.publish('h', 1)
  const release = rig.broker.holdHistory()
  const subscribing = rig.subscribe(reader, 'h')
  await rig.broker.called('position')
  // Not before the position that history answers, and held until it has.
  await rig.publish('h', 2, 3)
  release()
  t.match(await subscribing, { recovered: false, offset: 3 })
  await rig.publish('h', 4)
  await rig.written()
  t.strictSame(reader.offsets, [4])
})

t.test('C79: a position that cannot be is answered with the present one', async (t) => {
  const rig = await makeRig(t, { size: 2, ttl: 60_000 })
  const { epoch } = await rig.subscribe(rig.reader(), 'h')
  await rig.publish('h', 1, 2, 3, 4)
  const impossible = [
    { offset: -1, epoch },
    { offset: 1.5, epoch },
    { offset: 2 ** 53 + 1, epoch },
    { offset: 'x' as unknown as number, epoch },
    { offset: 9, epoch },
    { offset: 3, epoch: 'another' },
    { offset: 3, epoch: 5 as unknown as string },
    // Trimmed: 2 is no longer kept.
    { offset: 1, epoch }
  ]
  for (const since of impossible) {
    const reader = rig.reader()
    t.match(await rig.subscribe(reader, 'h', since), { recovered: false, offset: 4, epoch }, JSON.stringify(since))
    await rig.written()
    t.strictSame(reader.messages, [])
  }
  const reader = rig.reader()
  t.match(await rig.subscribe(reader, 'h', { offset: 2, epoch }), { recovered: true, offset: 4 })
  await rig.written()
  t.strictSame(reader.offsets, [3, 4])
})

t.test('a gap is repaired from history, once for all subscribers', async (t) => {
  const rig = await makeRig(t)
  const readers = [rig.reader(), rig.reader()]
  for (const reader of readers) await rig.subscribe(reader, 'h')
  rig.broker.lost = ({ offset }) => offset === 2 || offset === 3
  await rig.publish('h', 1, 2, 3, 4, 5)
  await rig.written()
  for (const reader of readers) t.strictSame(reader.offsets, range(1, 5))
  t.equal(rig.broker.calls.filter((call) => call === 'history 1').length, 1)
  t.strictSame(rig.repairs, [true])
  t.strictSame(readers[0]?.holes, [])
})

t.test('a duplicate is dropped', async (t) => {
  const rig = await makeRig(t)
  const reader = rig.reader()
  const { epoch } = await rig.subscribe(reader, 'h')
  await rig.publish('h', 1, 2)
  for (const offset of [1, 2]) rig.hub.receive('h', { offset, epoch, data: Buffer.from('"again"') })
  await rig.written()
  t.strictSame(reader.data, [1, 2])
})

t.test('a gap that history cannot fill is declared, before anything newer', async (t) => {
  const rig = await makeRig(t, { size: 2, ttl: 60_000 })
  const reader = rig.reader()
  const { epoch } = await rig.subscribe(reader, 'h')
  await rig.written()
  rig.broker.lost = ({ offset }) => offset > 1 && offset < 5
  await rig.publish('h', 1, 2, 3, 4, 5)
  await rig.written()
  t.strictSame(reader.offsets, [1])
  t.strictSame(reader.holes, [{ channel: 'h', position: { offset: 5, epoch } }])
  t.strictSame(rig.repairs, [false])
  await rig.publish('h', 6)
  await rig.written()
  t.strictSame(reader.offsets, [1, 6])
})

t.test('a new epoch is declared', async (t) => {
  const rig = await makeRig(t)
  const reader = rig.reader()
  const { epoch } = await rig.subscribe(reader, 'h')
  await rig.written()
  await rig.publish('h', 1)
  await rig.broker.removeHistory('h')
  await rig.publish('h', 2)
  await rig.written()
  t.equal(reader.holes.length, 1)
  t.not(reader.holes[0]?.position.epoch, epoch)
  t.strictSame(reader.data, [1])
})

t.test('a gap while history is read for a subscriber ends with recovered: false or a declared hole', async (t) => {
  const rig = await makeRig(t)
  const first = rig.reader()
  const { epoch } = await rig.subscribe(first, 'h')
  await rig.publish('h', 1, 2)
  const second = rig.reader()
  const release = rig.broker.holdHistory()
  const subscribing = rig.subscribe(second, 'h', { offset: 1, epoch })
  await rig.broker.called('history 1')
  await rig.broker.removeHistory('h')
  await rig.publish('h', 3)
  release()
  await subscribing
  await rig.written()
  t.equal(first.holes.length, 1)
  t.equal(second.holes.length, 1)
  await rig.publish('h', 4)
  await rig.written()
  t.equal(second.data.at(-1), 4)
})

t.test('an audit finds what no later publication would show', async (t) => {
  const rig = await makeRig(t)
  const reader = rig.reader()
  await rig.subscribe(reader, 'h')
  rig.broker.lost = ({ offset }) => offset === 2
  await rig.publish('h', 1, 2)
  await rig.written()
  t.strictSame(reader.offsets, [1])
  rig.hub.audit(['h', 'unknown'])
  await rig.written()
  t.strictSame(reader.offsets, [1, 2])
  rig.hub.audit(['h'])
  await rig.written()
  t.strictSame(rig.repairs, [true])
})

t.test('a history that was rolled back under one epoch is a hole', async (t) => {
  const rig = await makeRig(t)
  const reader = rig.reader()
  const { epoch } = await rig.subscribe(reader, 'h')
  rig.hub.receive('h', { offset: 1, epoch, data: Buffer.from('1') })
  await rig.written()
  rig.hub.audit(['h'])
  await rig.written()
  t.strictSame(reader.holes, [{ channel: 'h', position: { offset: 0, epoch } }])
})

t.test('a repair that fails is tried again with the next publication, or the next audit', async (t) => {
  const rig = await makeRig(t)
  const reader = rig.reader()
  await rig.subscribe(reader, 'h')
  rig.broker.lost = ({ offset }) => offset === 2 || offset === 5
  await rig.publish('h', 1)
  rig.broker.away = true
  await rig.publish('h', 2, 3)
  await rig.written()
  t.strictSame(rig.failures, ['repair'])
  rig.broker.away = false
  await rig.publish('h', 4)
  await rig.written()
  t.strictSame(reader.offsets, range(1, 4))
  rig.broker.away = true
  await rig.publish('h', 5, 6)
  await rig.written()
  rig.hub.audit(['h'])
  await rig.written()
  t.strictSame(rig.failures, ['repair', 'repair', 'repair'])
  rig.broker.away = false
  rig.hub.audit(['h'])
  await rig.written()
  t.strictSame(reader.offsets, range(1, 6))
})

t.test('an audit that fails says so', async (t) => {
  const rig = await makeRig(t)
  await rig.subscribe(rig.reader(), 'h')
  rig.broker.away = true
  rig.hub.audit(['h'])
  await rig.written()
  t.strictSame(rig.failures, ['audit'])
})

t.test('a slow reader is served from history when it reads again, and is live then', async (t) => {
  const rig = await makeRig(t, { size: 2000, ttl: 60_000 })
  const quick = rig.reader()
  const slow = rig.reader()
  for (const reader of [quick, slow]) await rig.subscribe(reader, 'h')
  slow.slow = true
  const text = 'x'.repeat(600)
  // The second write fills the buffer past the soft limit, the rest is left to history.
  for (let i = 1; i <= 1000; i++) {
    await rig.publish('h', text)
    if (i % 100 < 3) await rig.written()
  }
  await rig.written()
  t.equal(quick.offsets.length, 1000)
  t.ok(slow.offsets.length < 10)
  t.ok(slow.outbox.waiting < 10_000)
  slow.read()
  await rig.written()
  // While it catches up others publish.
  for (let i = 0; i < 20; i++) {
    await rig.publish('h', text)
    await rig.written()
  }
  t.strictSame(slow.offsets, range(1, 1020))
  t.equal(slow.outbox.dropped, 0)
  t.strictSame(slow.holes, [])
})

t.test('a slow reader whose history was trimmed is told', async (t) => {
  const rig = await makeRig(t, { size: 3, ttl: 60_000 })
  const slow = rig.reader()
  const { epoch } = await rig.subscribe(slow, 'h')
  slow.slow = true
  for (let i = 0; i < 20; i++) {
    await rig.publish('h', 'x'.repeat(600))
    await rig.written()
  }
  slow.read()
  await rig.written()
  t.strictSame(slow.holes, [{ channel: 'h', position: { offset: 20, epoch } }])
  await rig.publish('h', 'last')
  await rig.written()
  t.equal(slow.data.at(-1), 'last')
})

t.test('a catching up that fails goes on with the next audit', async (t) => {
  const rig = await makeRig(t)
  const slow = rig.reader()
  await rig.subscribe(slow, 'h')
  slow.slow = true
  for (let i = 0; i < 10; i++) {
    await rig.publish('h', 'x'.repeat(600))
    await rig.written()
  }
  rig.broker.away = true
  slow.read()
  await rig.written()
  t.strictSame(rig.failures, ['catch up'])
  rig.broker.away = false
  rig.hub.audit(['h'])
  await rig.written()
  t.strictSame(slow.offsets, range(1, 10))
})

t.test('recovery stops where the reader is slow, and goes on when it reads', async (t) => {
  const rig = await makeRig(t, { size: 1000, ttl: 60_000 })
  const { epoch } = await rig.subscribe(rig.reader(), 'h')
  for (let i = 0; i < 500; i++) await rig.publish('h', 'x'.repeat(600))
  const slow = rig.reader()
  slow.slow = true
  t.match(await rig.subscribe(slow, 'h', { offset: 0, epoch }), { recovered: true, offset: 500 })
  await rig.written()
  t.ok(slow.offsets.length < 200)
  await rig.publish('h', 'new')
  slow.read()
  for (let i = 0; i < 5; i++) await rig.written()
  t.strictSame(slow.offsets, range(1, 501))
})

t.test('a reader that is ready again before its recovery is over gets everything once, in order', async (t) => {
  // It was read for twice at the same time.
  const rig = await makeRig(t, { size: 1000, ttl: 60_000 })
  const { epoch } = await rig.subscribe(rig.reader(), 'h')
  for (let i = 0; i < 500; i++) await rig.publish('h', 'x'.repeat(600))
  const slow = rig.reader()
  slow.slow = true
  await rig.subscribe(slow, 'h', { offset: 0, epoch })
  slow.read()
  await new Promise(process.nextTick)
  t.notOk(slow.outbox.lagging)
  await rig.publish('h', 'new')
  for (let i = 0; i < 5; i++) await rig.written()
  t.strictSame(slow.offsets, range(1, 501))
})

t.test('a subscriber that is gone meanwhile gets nothing', async (t) => {
  const rig = await makeRig(t)
  const first = rig.reader()
  const { epoch } = await rig.subscribe(first, 'h')
  await rig.publish('h', 1)
  const second = rig.reader()
  const release = rig.broker.holdHistory()
  const subscribing = rig.subscribe(second, 'h', { offset: 0, epoch })
  await rig.broker.called('history 0')
  rig.hub.unsubscribe(second, 'h')
  release()
  await subscribing
  await rig.publish('h', 2)
  await rig.written()
  t.strictSame(first.offsets, [1, 2])
  t.notOk(second.offsets.includes(2))
})

t.test('publications without a position pass beside those with one', async (t) => {
  const rig = await makeRig(t)
  const reader = rig.reader()
  await rig.subscribe(reader, 'h')
  await rig.publish('h', 1)
  await rig.broker.publish('h', Buffer.from('"by the way"'))
  await rig.publish('h', 2)
  await rig.written()
  t.strictSame(reader.data, [1, 'by the way', 2])
  // Nor do they move anybody's position.
  rig.hub.unsubscribe(reader, 'h')
  await rig.broker.publish('h', Buffer.from('"unheard"'))
  const slow = rig.reader()
  await rig.subscribe(slow, 'h')
  slow.slow = true
  for (let i = 3; i < 13; i++) {
    await rig.publish('h', 'x'.repeat(600))
    await rig.written()
  }
  slow.read()
  await rig.written()
  t.strictSame(slow.offsets, range(3, 12))
})

t.test('a subscriber that leaves when it is told of a hole is not joined', async (t) => {
  const rig = await makeRig(t)
  const first = rig.reader()
  const { epoch } = await rig.subscribe(first, 'h')
  await rig.publish('h', 1, 2)
  const second = rig.reader()
  second.insufficientState = (channel) => rig.hub.unsubscribe(second, channel)
  const release = rig.broker.holdHistory()
  const subscribing = rig.subscribe(second, 'h', { offset: 1, epoch })
  await rig.broker.called('history 1')
  await rig.broker.removeHistory('h')
  await rig.publish('h', 3)
  release()
  await subscribing
  await rig.written()
  await rig.publish('h', 4)
  await rig.written()
  t.strictSame(rig.hub.channelsOf(second), [])
  t.notOk(second.data.includes(4))
})

t.test('one that another has ended because of a hole is not told of it', async (t) => {
  const rig = await makeRig(t)
  const [first, second] = [rig.reader(), rig.reader()]
  for (const reader of [first, second]) await rig.subscribe(reader, 'h')
  await rig.written()
  first.insufficientState = (channel) => rig.hub.unsubscribe(second, channel)
  await rig.broker.removeHistory('h')
  await rig.written()
  t.strictSame(second.holes, [])
  t.strictSame(rig.hub.channelsOf(second), [])
})

t.test('a slow reader that leaves with its last batch leaves nothing behind', async (t) => {
  // It was put beside the feed as one that is behind, and stayed there.
  const rig = await makeRig(t)
  const [slow, other] = [rig.reader(), rig.reader()]
  for (const reader of [slow, other]) await rig.subscribe(reader, 'h')
  await rig.written()
  slow.slow = true
  await rig.publish('h', 'x'.repeat(2_000))
  await rig.written()
  await rig.publish('h', 'x')
  rig.hub.unsubscribe(slow, 'h')
  slow.read()
  await rig.written()
  const calls = rig.broker.calls.length
  rig.hub.audit(['h'])
  await rig.written()
  t.strictSame(rig.broker.calls.slice(calls), ['position'], 'nothing is read for it')
  t.strictSame([slow.offsets, other.offsets], [[1], [1, 2]])
})

t.test('a slow reader that leaves while it catches up gets nothing more', async (t) => {
  const rig = await makeRig(t)
  const slow = rig.reader()
  await rig.subscribe(slow, 'h')
  slow.slow = true
  for (let i = 0; i < 10; i++) {
    await rig.publish('h', 'x'.repeat(600))
    await rig.written()
  }
  const before = slow.offsets.length
  const release = rig.broker.holdHistory()
  slow.read()
  await rig.written()
  rig.hub.unsubscribe(slow, 'h')
  release()
  await rig.written()
  t.ok(slow.offsets.length <= before + 2, 'but for what was written already')
})

t.test('a prepared stream gives nothing until it begins', async (t) => {
  const rig = await makeRig(t)
  const { epoch } = await rig.subscribe(rig.reader(), 'h')
  await rig.publish('h', 1, 2)
  const reader = rig.reader()
  const { missed, begin, ...result } = await rig.hub.prepare(reader, 'h', socketFormat, { offset: 0, epoch })
  t.strictSame(result, { recovered: true, offset: 2, epoch })
  t.strictSame(
    missed.map(({ offset }) => offset),
    [1, 2]
  )
  await rig.publish('h', 3)
  await rig.written()
  t.strictSame(reader.data, [])
  begin(missed.length)
  await rig.publish('h', 4)
  await rig.written()
  t.strictSame(reader.data, [3, 4])
})

t.test('a stream that its subscriber left while it was prepared gives nothing', async (t) => {
  const rig = await makeRig(t)
  const { epoch } = await rig.subscribe(rig.reader(), 'h')
  await rig.publish('h', 1)
  for (const since of [undefined, { offset: 0, epoch }]) {
    const reader = rig.reader()
    const release = rig.broker.holdHistory()
    const preparing = rig.hub.prepare(reader, 'h', socketFormat, since)
    await rig.written()
    rig.hub.unsubscribe(reader, 'h')
    release()
    const { missed, begin } = await preparing
    begin(missed.length)
    await rig.publish('h', 2)
    await rig.written()
    t.strictSame(reader.data, [])
  }
  t.strictSame(rig.recoveries, [], 'nor is it counted')
})

t.test('case 155: a publication without a position on a channel with history is reported', async (t) => {
  const rig = await makeRig(t)
  const reader = rig.reader()
  await rig.subscribe(reader, 'h')
  await rig.subscribe(reader, 'news')
  // As a publisher without the policy does it. The first comes before the subscription is live.
  for (const value of [1, 2]) {
    await rig.broker.publish('h', Buffer.from(`${value}`))
    await rig.written()
  }
  await rig.publish('h', 3)
  await rig.publish('news', 4)
  await rig.written()
  t.strictSame(reader.data, [1, 2, 3, 4])
  t.strictSame(rig.unpositioned, ['h', 'h'], 'the node counts, and logs one an hour')
})

t.test('case 159: the result of a subscription comes before anything newer', async (t) => {
  for (const name of ['h', 'news']) {
    const rig = await makeRig(t)
    const reader = rig.reader()
    const subscribing = rig.subscribe(reader, name).then((result) => {
      reader.outbox.send(textFrame(JSON.stringify({ channel: 'result', data: result.offset })))
    })
    // Others publish in the same turn.
    for (let n = 0; n < 10; n++) {
      await Promise.resolve()
      await rig.publish(name, n)
    }
    await subscribing
    await rig.publish(name, 'last')
    await rig.written()
    const [first, ...rest] = reader.messages
    t.equal(first?.channel, 'result', name)
    t.ok(rest.length > 0)
    if (name === 'h') t.equal(rest[0]?.offset, (first?.data as number) + 1, 'and none is missing')
    t.equal(rest.at(-1)?.data, 'last')
  }
})
