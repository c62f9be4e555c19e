import t from 'tap'
import { pending } from '../support/pending.ts'
import { makeRig } from './rig.ts'

t.test('publications reach every subscriber of their channel, and nobody else', async (t) => {
  const rig = await makeRig(t)
  const [a, b, other] = [rig.reader(), rig.reader(), rig.reader()]
  t.strictSame(await rig.subscribe(a, 'news'), { recovered: false, offset: 0, epoch: '' })
  await rig.subscribe(b, 'news')
  await rig.subscribe(other, 'sports')
  await rig.publish('news', { text: 'é' })
  await rig.publish('nobody', 1)
  await rig.written()
  for (const reader of [a, b]) t.strictSame(reader.messages, [{ channel: 'news', data: { text: 'é' } }])
  t.strictSame(other.messages, [])
})

t.test('what is published in one turn leaves in one write', async (t) => {
  const rig = await makeRig(t)
  const reader = rig.reader()
  await rig.subscribe(reader, 'news')
  await rig.publish('news', 1, 2, 3)
  t.strictSame(reader.messages, [])
  await rig.written()
  t.strictSame(reader.data, [1, 2, 3])
})

t.test(
  'who subscribes gets nothing of what was published before, who leaves nothing of what comes after',
  async (t) => {
    const rig = await makeRig(t)
    const [early, late] = [rig.reader(), rig.reader()]
    await rig.subscribe(early, 'news')
    await rig.publish('news', 1)
    await rig.subscribe(late, 'news')
    await rig.written()
    await rig.publish('news', 2)
    rig.hub.unsubscribe(early, 'news')
    await rig.publish('news', 3)
    await rig.written()
    t.strictSame(early.data, [1, 2])
    t.strictSame(late.data, [2, 3])
  }
)

t.test(
  'who is on no channel has nothing to catch up with, and a channel without history nothing to audit',
  async (t) => {
    const rig = await makeRig(t)
    rig.hub.caughtUp(rig.reader())
    await rig.subscribe(rig.reader(), 'news')
    rig.broker.calls.length = 0
    rig.hub.audit(['news'])
    t.strictSame(rig.broker.calls, [])
  }
)

t.test('a publish with an option that does not exist is refused, and nothing is published', async (t) => {
  // With `exept` everybody was given it, also the connection that was to be left out.
  const rig = await makeRig(t)
  const reader = rig.reader()
  await rig.subscribe(reader, 'news')
  const options = { exept: 'mine' } as never
  await t.rejects(rig.hub.publish('news', 1, options), { code: 'FST_RT_INVALID_ARGUMENT' })
  await rig.hub.publish('news', 2, {})
  await rig.written()
  t.strictSame(reader.data, [2])
})

t.test('a publication reaches all but the connection that is excepted, and keeps its offset', async (t) => {
  const rig = await makeRig(t)
  for (const channel of ['plain', 'h']) {
    const [ada, bob] = [rig.reader(), rig.reader()]
    rig.connections.set('ada', ada)
    for (const reader of [ada, bob]) await rig.subscribe(reader, channel)
    await rig.written()
    const publish = (data: number, except?: string | { id: string }) => rig.hub.publish(channel, data, { except })
    await publish(1)
    await publish(2, 'ada')
    await publish(3, { id: 'ada' })
    await publish(4)
    await rig.written()
    t.same(ada.data, [1, 4])
    t.same(bob.data, [1, 2, 3, 4])
    t.equal(ada.writes, 1, 'in one write, as ever')
    await publish(5, 'ada')
    await rig.written()
    await publish(6, 'on another node')
      .then(() => t.fail('it is no id'))
      .catch((error) => t.match(error, { code: 'FST_RT_INVALID_ARGUMENT' }))
    await publish(6, 'on-another-node')
    await rig.written()
    t.same(ada.data, [1, 4, 6])
    t.same(bob.data, [1, 2, 3, 4, 5, 6])
    if (channel === 'h') t.same(ada.offsets, [1, 4, 6])
  }
  t.same([rig.repairs, rig.failures], [[], []], 'and nobody takes it for a gap')
})

t.test('C73: names that are no names are refused', async (t) => {
  const rig = await makeRig(t)
  const bad = ['', '\0', 'a\nb', 'x'.repeat(256), 'é'.repeat(128), '\ud800', 5 as unknown as string]
  for (const name of bad) {
    await t.rejects(rig.subscribe(rig.reader(), name), { code: 'FST_RT_INVALID_CHANNEL' })
    await t.rejects(rig.publish(name, 1), { code: 'FST_RT_INVALID_CHANNEL' })
  }
  for (const name of ['*', '?', '[a]', 'a:{b}', '}{', '__proto__', 'x'.repeat(255), 'é'.repeat(127)]) {
    const reader = rig.reader()
    await rig.subscribe(reader, name)
    await rig.publish(name, 1)
    await rig.written()
    t.strictSame(reader.messages, [{ channel: name, data: 1 }])
  }
})

t.test('what JSON cannot say is refused', async (t) => {
  const rig = await makeRig(t)
  const cycle: unknown[] = []
  cycle.push(cycle)
  for (const data of [undefined, () => {}, 1n, cycle]) {
    await t.rejects(rig.publish('news', data), { code: 'FST_RT_INVALID_DATA' })
  }
})

t.test('a key that is none is refused, and nothing published', async (t) => {
  // null was a key like any other: of all that was published with it, the first alone was added.
  const rig = await makeRig(t)
  const reader = rig.reader()
  await rig.subscribe(reader, 'news')
  for (const idempotencyKey of [null, '', 'x'.repeat(256), {}] as string[]) {
    const published = rig.hub.publish('news', 1, { idempotencyKey })
    await t.rejects(published, { code: 'FST_RT_INVALID_IDEMPOTENCY_KEY' })
  }
  await rig.written()
  t.strictSame(reader.messages, [])
})

t.test('C74: one subscription too many is refused, one twice is one', async (t) => {
  const rig = await makeRig(t)
  const reader = rig.reader()
  for (const name of ['a', 'b', 'h']) await rig.subscribe(reader, name)
  await t.rejects(rig.subscribe(reader, 'd'), { code: 'FST_RT_SUBSCRIPTION_LIMIT' })
  await rig.publish('h', 1)
  t.match(await rig.subscribe(reader, 'h'), { recovered: false, offset: 1 })
  await rig.publish('h', 2)
  await rig.written()
  t.strictSame(reader.data, [1, 2])
  t.strictSame(rig.hub.channelsOf(reader), ['a', 'b', 'h'])
  t.strictSame(Array.from(rig.hub.all(), ({ name }) => name).sort(), ['a', 'b', 'h'])
  t.match(rig.hub.positionOf('h'), { offset: 2 })
  t.equal(rig.hub.positionOf('unknown'), undefined)
})

t.test('a closed connection cannot subscribe', async (t) => {
  const rig = await makeRig(t)
  const reader = rig.reader()
  reader.closed = true
  await t.rejects(rig.subscribe(reader, 'news'), { code: 'FST_RT_SOCKET_CLOSED' })
})

t.test('C75: the broker is asked for a channel once, and let go a moment after its last subscriber', async (t) => {
  const rig = await makeRig(t)
  const reader = rig.reader()
  for (let i = 0; i < 100; i++) {
    await rig.subscribe(reader, 'news')
    rig.hub.unsubscribe(reader, 'news')
    rig.clock.advance(9)
  }
  t.strictSame(rig.broker.calls, ['subscribe news'])
  rig.clock.advance(1100)
  t.strictSame(rig.broker.calls, ['subscribe news', 'unsubscribe news'])
  t.equal(rig.hub.channels, 0)
  rig.hub.unsubscribe(reader, 'news')
  await rig.subscribe(reader, 'news')
  rig.hub.unsubscribeAll(reader)
  rig.broker.away = true
  rig.clock.advance(2000)
  await rig.written()
  t.strictSame(rig.failures, ['unsubscribe'])
})

t.test('who leaves and comes again while the broker is asked is subscribed, though the first try fails', async (t) => {
  const rig = await makeRig(t)
  const reader = rig.reader()
  const asked: ReturnType<typeof pending<void>>[] = []
  rig.broker.subscribe = () => {
    const answer = pending()
    asked.push(answer)
    return answer.promise
  }
  const first = rig.subscribe(reader, 'news')
  rig.hub.unsubscribe(reader, 'news')
  // The channel is let go meanwhile, and asked for anew.
  rig.clock.advance(1_100)
  const second = rig.subscribe(reader, 'news')
  asked[0]?.reject(new Error('away'))
  await t.rejects(first, { message: 'away' })
  asked[1]?.resolve()
  await second
  t.strictSame(rig.hub.channelsOf(reader), ['news'])
})

t.test('audits of many channels ask the broker a few at a time', async (t) => {
  const rig = await makeRig(t)
  const names = Array.from({ length: 20 }, (_, n) => `h${n}`)
  const reader = rig.reader()
  reader.maxSubscriptions = names.length
  for (const name of names) await rig.subscribe(reader, name)
  rig.broker.calls.length = 0
  const release = rig.broker.holdHistory()
  rig.hub.audit(names)
  await rig.written()
  t.equal(rig.broker.calls.length, 8)
  release()
  while (rig.broker.calls.length < 20) await rig.written()
  t.equal(rig.broker.calls.length, 20)
})

t.test('C71: a connection that closes while it is subscribed leaves nothing behind', async (t) => {
  const rig = await makeRig(t)
  const reader = rig.reader()
  const subscribing = rig.subscribe(reader, 'news')
  reader.closed = true
  rig.hub.unsubscribeAll(reader)
  await t.rejects(subscribing, { code: 'FST_RT_SOCKET_CLOSED' })
  await rig.publish('news', 1)
  await rig.written()
  t.strictSame(reader.messages, [])
  t.strictSame(rig.hub.channelsOf(reader), [])
  rig.clock.advance(2000)
  t.equal(rig.hub.channels, 0)
})

t.test('a broker that is away is said, and the subscription is as if it had never been', async (t) => {
  const rig = await makeRig(t)
  const reader = rig.reader()
  rig.broker.away = true
  await t.rejects(rig.subscribe(reader, 'h'), { message: 'away' })
  t.strictSame(rig.hub.channelsOf(reader), [])
  rig.broker.away = false
  await rig.subscribe(reader, 'h')
  await rig.publish('h', 1)
  await rig.written()
  t.strictSame(reader.data, [1])
})

t.test('what is sent to one socket and what is published keep their order', async (t) => {
  const rig = await makeRig(t)
  const [one, two] = [rig.reader(), rig.reader()]
  for (const reader of [one, two]) for (const name of ['a', 'b']) await rig.subscribe(reader, name)
  await rig.written()
  const { textFrame } = await import('../../lib/protocol/frame.ts')
  await rig.publish('a', 1)
  one.outbox.send(textFrame('{"data":"direct"}'))
  await rig.publish('b', 2)
  await rig.publish('a', 3)
  one.outbox.send(textFrame('{"data":"last"}'))
  await rig.written()
  t.strictSame(one.data.slice(0, 2), [1, 'direct'])
  t.equal(one.data.at(-1), 'last')
  t.strictSame(
    two.data.filter((value) => value !== 2),
    [1, 3]
  )
})

t.test('C72: nothing of a channel comes after its end, however slow the reader', async (t) => {
  const rig = await makeRig(t)
  const slow = rig.reader()
  for (const name of ['news', 'sports']) await rig.subscribe(slow, name)
  slow.slow = true
  for (let i = 0; i < 4; i++) {
    await rig.publish('news', [i, 'x'.repeat(600)])
    await rig.written()
  }
  await rig.publish('sports', 'kept')
  await rig.publish('news', 'never')
  await rig.written()
  rig.hub.unsubscribe(slow, 'news')
  slow.read()
  await rig.written()
  t.ok(slow.data.includes('kept'))
  t.notOk(slow.data.includes('never'))
})

t.test('without history a slow reader loses the oldest, and is told how many', async (t) => {
  const rig = await makeRig(t)
  const slow = rig.reader()
  await rig.subscribe(slow, 'news')
  slow.slow = true
  for (let i = 1; i <= 10; i++) {
    await rig.publish('news', [i, 'x'.repeat(500)])
    await rig.written()
  }
  slow.read()
  await rig.written()
  const notice = slow.messages.find((message) => message.notice)
  t.strictSame(notice, { notice: { code: 'lagging', dropped: slow.outbox.dropped } })
  const numbers = slow.data.flatMap((data) => (Array.isArray(data) ? [data[0]] : []))
  t.equal(numbers.length + slow.outbox.dropped, 10)
  t.equal(numbers.at(-1), 10)
})

t.test('a channel that nobody is on has no audience', async (t) => {
  const rig = await makeRig(t)
  t.equal(rig.hub.audienceOf('news'), 0)
  await rig.subscribe(rig.reader(), 'news')
  t.equal(rig.hub.audienceOf('news'), 0, 'nor is a socket told who comes')
})

t.test('case 159: two calls for one channel hold together, or fail together', async (t) => {
  for (const fails of [true, false]) {
    const rig = await makeRig(t)
    const reader = rig.reader()
    const { history } = rig.broker
    rig.broker.history = async (channel, query) => {
      await rig.written()
      if (fails && query.since !== undefined) throw new Error('away')
      return history.call(rig.broker, channel, query)
    }
    const since = { offset: 0, epoch: 'other' }
    const results = await Promise.allSettled([rig.subscribe(reader, 'h', since), rig.subscribe(reader, 'h')])
    t.strictSame(
      results.map(({ status }) => status),
      fails ? ['rejected', 'rejected'] : ['fulfilled', 'fulfilled']
    )
    t.strictSame(rig.hub.channelsOf(reader), fails ? [] : ['h'])
  }
})

t.test('case 159: a socket that closes meanwhile is not subscribed, by whichever call', async (t) => {
  const rig = await makeRig(t)
  const reader = rig.reader()
  const calls = [rig.subscribe(reader, 'h'), rig.subscribe(reader, 'h')]
  reader.closed = true
  rig.hub.unsubscribeAll(reader)
  for (const call of calls) await t.rejects(call, { code: 'FST_RT_SOCKET_CLOSED' })
  t.strictSame(rig.hub.channelsOf(reader), [])
})

t.test('case 159: a subscription that was ended before it failed is not ended twice', async (t) => {
  const rig = await makeRig(t)
  const reader = rig.reader()
  rig.broker.away = true
  const first = rig.subscribe(reader, 'a')
  rig.hub.unsubscribe(reader, 'a')
  await t.rejects(first, { message: 'away' })
  t.strictSame(rig.hub.channelsOf(reader), [])
  rig.broker.away = false
  await rig.subscribe(reader, 'a')
  t.strictSame(rig.hub.channelsOf(reader), ['a'])
})

t.test('bytes are for channels that are declared for them, and nothing else is', async (t) => {
  const rig = await makeRig(t)
  const reader = rig.reader()
  await rig.subscribe(reader, 'bytes')
  const data = Uint8Array.from([0xff, 0])
  t.same(await rig.hub.publish('bytes', data, undefined), { offset: 0, epoch: '' })
  await rig.written()
  t.strictSame(reader.data, [null], 'a subscriber that receives JSON')
  await t.rejects(rig.hub.publish('bytes', { a: 1 }, undefined), { code: 'FST_RT_INVALID_BYTES' })
  await t.rejects(rig.hub.publish('other', data, undefined), { code: 'FST_RT_INVALID_DATA' })
})
