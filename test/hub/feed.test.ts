import t from 'tap'
import type { Publication } from '../../lib/broker/broker.ts'
import { Turn } from '../../lib/connection/turn.ts'
import { StreamCursor } from '../../lib/hub/cursor.ts'
import { Feed, type FeedChannel, socketFormat } from '../../lib/hub/feed.ts'
import type { Hub } from '../../lib/hub/hub.ts'
import { framePayloads, textFrame } from '../../lib/protocol/frame.ts'
import { idle } from '../support/idle.ts'
import { Reader } from './rig.ts'

const text = (frame: Buffer) => [...framePayloads(frame)].map(({ payload }) => `${payload}`).join()
const publication = (offset: number) => ({ offset, epoch: offset === 0 ? '' : 'e', data: Buffer.from(`${offset}`) })

interface RigOptions {
  /** The channel has a history then. */
  readonly fallBehind?: FeedChannel['fallBehind']
  readonly report?: (error: unknown) => void
}

function rig({ fallBehind, report }: RigOptions = {}) {
  const turn = new Turn(report)
  const lags: number[] = []
  const feed = new Feed(socketFormat, {
    name: 'room',
    history: fallBehind && { size: 10, ttl: 60_000 },
    services: { turn, delivered: (lag) => lags.push(lag) },
    fallBehind: fallBehind ?? (() => undefined)
  })
  const caughtUp = { caughtUp() {} } as unknown as Hub
  const reader = () => {
    const one = new Reader(turn, caughtUp)
    return { one, subscription: new StreamCursor(one, feed) }
  }
  const add = (...offsets: number[]) => {
    for (const offset of offsets) feed.add(feed.encode(publication(offset)), publication(offset))
  }
  return { feed, turn, lags, reader, add }
}

t.test('as app.ws routes get it: the payload as it came, with its position where it has one', async (t) => {
  const head = socketFormat.head('rooms/"1"')
  const encode = (one: Publication) => socketFormat.encode(head, one)
  const data = Buffer.from('{"z": 1.0}')
  t.equal(text(encode({ offset: 0, epoch: '', data })), '{"channel":"rooms/\\"1\\"","data":{"z": 1.0}}')
  t.equal(
    text(encode({ offset: 2, epoch: 'e', data, info: Buffer.from('{}') })),
    '{"channel":"rooms/\\"1\\"","data":{"z": 1.0},"offset":2,"epoch":"e"}'
  )
  t.equal(socketFormat.presence, undefined, 'it has no words for who comes and goes')
})

t.test('what is added in one turn goes to all in one write, the same bytes', async (t) => {
  const { reader, feed, add } = rig()
  const readers = [reader(), reader()]
  for (const { subscription } of readers) feed.join(subscription)
  t.equal(feed.size, 2)
  add(1, 2, 3)
  for (const { one } of readers) t.same(one.offsets, [])
  await idle()
  for (const { one } of readers) {
    t.same(one.offsets, [1, 2, 3])
    t.equal(one.writes, 1)
    t.equal(one.outbox.messages, 3)
  }
})

t.test('nothing to hand out is handed to nobody', async (t) => {
  const { reader, feed, turn, lags } = rig({ fallBehind: () => t.fail('it missed nothing') })
  const { one, subscription } = reader()
  feed.join(subscription)
  await makeSlow(one, turn)
  feed.handOut('during')
  one.read()
  await idle()
  t.equal(one.writes, 1)
  t.same(lags, [])
})

t.test('who joins gets nothing of before, who leaves nothing of after', async (t) => {
  const { reader, feed, add } = rig()
  const [early, late] = [reader(), reader()]
  feed.join(early.subscription)
  add(1)
  feed.join(late.subscription)
  add(2)
  t.equal(feed.size, 2)
  feed.leave(early.subscription)
  t.equal(feed.size, 1)
  add(3)
  await idle()
  t.same(early.one.offsets, [1, 2])
  t.same(late.one.offsets, [2, 3])
})

t.test('what a slow reader was kept waiting for is withdrawn when it leaves', async (t) => {
  const { reader, feed, add } = rig()
  const { one, subscription } = reader()
  feed.join(subscription)
  one.slow = true
  const large = { ...publication(1), data: Buffer.from(`"${'x'.repeat(2_000)}"`) }
  feed.add(feed.encode(large), large)
  await idle()
  add(2)
  await idle()
  t.ok(one.outbox.waiting > 0)
  feed.leave(subscription)
  t.equal(one.outbox.waiting, 0)
})

t.test('one that was dropped is not given even what was added before', async (t) => {
  const { reader, feed, add } = rig()
  const { one, subscription } = reader()
  feed.join(subscription)
  add(1)
  feed.drop(subscription)
  await idle()
  t.same(one.offsets, [])
})

t.test('without live subscribers nothing is kept, and the offset goes on', async (t) => {
  const behind: number[] = []
  const { reader, feed, turn, add } = rig({ fallBehind: (_subscription, offset) => behind.push(offset) })
  let batches = 0
  const { addBatch } = turn
  turn.addBatch = (batch) => {
    batches++
    addBatch.call(turn, batch)
  }
  add(1, 2)
  t.equal(batches, 0)
  const { one, subscription } = reader()
  feed.join(subscription)
  await makeSlow(one, turn)
  add(3)
  await idle()
  t.same(behind, [2], 'it has been given what was before it joined')
})

t.test('a slow reader is handed to who can serve it later, with the place up to which it was given all', async (t) => {
  const behind: [StreamCursor, number][] = []
  const { reader, feed, turn, add } = rig({
    fallBehind: (subscription, offset) => {
      behind.push([subscription, offset])
      feed.drop(subscription)
    }
  })
  const [quick, slow] = [reader(), reader()]
  for (const { subscription } of [quick, slow]) feed.join(subscription)
  add(1, 2)
  await idle()
  await makeSlow(slow.one, turn)
  add(3, 4)
  await idle()
  t.same(behind, [[slow.subscription, 2]])
  add(5)
  await idle()
  t.equal(behind.length, 1)
  t.same(quick.one.offsets, [1, 2, 3, 4, 5])
})

t.test('nobody is given what lies before a hole', async (t) => {
  const behind: number[] = []
  const { reader, feed, turn, add } = rig({ fallBehind: (_subscription, offset) => behind.push(offset) })
  const { one, subscription } = reader()
  feed.join(subscription)
  await makeSlow(one, turn)
  feed.skipTo(10)
  add(11)
  await idle()
  feed.skipTo(20)
  feed.handOut('during')
  add(21)
  await idle()
  t.same(behind, [10, 20])
})

t.test('a publication without a position leaves the offset alone', async (t) => {
  const behind: number[] = []
  const { reader, feed, turn, add } = rig({ fallBehind: (_subscription, offset) => behind.push(offset) })
  const { one, subscription } = reader()
  feed.join(subscription)
  add(7, 0)
  await idle()
  await makeSlow(one, turn)
  add(8)
  await idle()
  t.same(behind, [7])
})

t.test('how late a batch is, is told by its oldest publication', async (t) => {
  const { reader, feed, lags } = rig()
  const { subscription } = reader()
  const { now } = Date
  t.teardown(() => {
    Date.now = now
  })
  Date.now = () => 10_000
  feed.add(Buffer.alloc(0), { ...publication(1), time: 1_000 })
  feed.join(subscription)
  t.same(lags, [], 'one that reached nobody was not late')
  for (const time of [9_000, 9_500]) feed.add(feed.encode(publication(2)), { ...publication(2), time })
  feed.handOut('during')
  feed.add(feed.encode(publication(3)), { ...publication(3), time: 10_500 })
  feed.handOut('during')
  feed.add(feed.encode(publication(4)), publication(4))
  feed.handOut('during')
  t.same(lags, [1_000, 0], 'by two clocks it may seem early; and what came from history is no delivery')
})

/** Has a reader's buffer filled past the soft limit. */
async function makeSlow(one: Reader, turn: Turn): Promise<void> {
  one.slow = true
  one.outbox.send(Buffer.alloc(2_000))
  turn.flush()
  await idle()
}

t.test('those that come, leave or fall behind while a batch is given change nothing for the others', async (t) => {
  const { reader, feed, turn, add } = rig({ fallBehind: (cursor) => feed.drop(cursor) })
  const [first, slow, second, ended, third, late] = [reader(), reader(), reader(), reader(), reader(), reader()]
  for (const { subscription } of [first, slow, second, ended, third]) feed.join(subscription)
  await makeSlow(slow.one, turn)
  const { outbox } = first.one
  const { deliver } = outbox
  outbox.deliver = (...args) => {
    deliver.apply(outbox, args)
    feed.drop(ended.subscription)
    if (!late.subscription.live) feed.join(late.subscription)
  }
  add(1)
  await idle()
  add(2)
  await idle()
  for (const { one } of [first, second, third]) t.same(one.offsets, [1, 2])
  t.same(ended.one.offsets, [])
  t.same(late.one.offsets, [2])
  t.equal(slow.one.writes, 1)
  t.same(new Set(feed.cursors), new Set([first, second, third, late].map(({ subscription }) => subscription)))
  for (const cursor of [...feed.cursors]) feed.leave(cursor)
  t.equal(feed.size, 0)
})

t.test('case 129: one subscriber who can’t be given a batch is ended, the others are given it', async (t) => {
  const failures: unknown[] = []
  const { reader, feed, add } = rig({ report: (error) => failures.push(error) })
  const [first, broken, last] = [reader(), reader(), reader()]
  for (const { subscription } of [first, broken, last]) feed.join(subscription)
  const error = new Error('one outbox')
  let ended = 0
  Object.assign(broken.one.outbox, {
    deliver() {
      throw error
    },
    fail: () => ended++
  })
  add(1)
  await idle()
  add(2)
  await idle()
  for (const { one } of [first, last]) t.same(one.offsets, [1, 2])
  t.same(failures, [error, error])
  t.equal(ended, 2)
})

t.test('cursors with filters come and go: each receives what passes while it is there', async (t) => {
  const { reader, feed } = rig()
  const tagged = (offset: number, k: string) => ({ ...publication(offset), tags: new Map([['k', k]]) })
  const add = (offset: number, k: string) => feed.add(feed.encode(publication(offset)), tagged(offset, k))
  const [all, one, other] = [reader(), reader(), reader()]
  const filtered = new StreamCursor(one.one, feed, (tags) => tags?.get('k') === 'a')
  const late = new StreamCursor(other.one, feed, (tags) => tags?.get('k') === 'b')
  feed.join(all.subscription)
  add(1, 'a')
  feed.join(filtered)
  add(2, 'a')
  add(3, 'b')
  feed.join(late)
  add(4, 'b')
  feed.announce(feed.encode(publication(5)))
  await idle()
  add(6, 'a')
  await idle()
  feed.leave(filtered)
  feed.leave(late)
  add(7, 'a')
  await idle()
  t.same(all.one.offsets, [1, 2, 3, 4, 5, 6, 7])
  t.same(one.one.offsets, [2, 5, 6])
  t.same(other.one.offsets, [4, 5])
})

t.test('with deltas: whole after a join, after nobody was there, and behind a gap', async (t) => {
  const turn = new Turn()
  const saved: number[] = []
  const feed = new Feed(
    {
      head: () => '',
      encode: (_head, { data }) => textFrame(JSON.stringify({ data: data.toString() })),
      encodeDelta: (_head, _publication, delta) => textFrame(JSON.stringify({ delta: delta.length }))
    },
    {
      name: 'room',
      history: undefined,
      services: { turn, delivered: () => undefined, deltasSaved: (bytes) => saved.push(bytes) },
      fallBehind: () => undefined
    }
  )
  const [one, other] = [0, 1].map(() => {
    const reader = new Reader(turn, { caughtUp() {} } as unknown as Hub)
    return { reader, cursor: new StreamCursor(reader, feed) }
  }) as [{ reader: Reader; cursor: StreamCursor }, { reader: Reader; cursor: StreamCursor }]
  const add = async (n: number) => {
    const publication = { offset: n, epoch: 'e', data: Buffer.from(`${'0123456789'.repeat(20)} ${n}`) }
    feed.add(feed.encode(publication), publication)
    await idle()
  }
  const kinds = ({ reader }: typeof one) => reader.messages.map((message) => Object.keys(message)[0])
  feed.join(one.cursor)
  feed.announce(textFrame('{"join":1}'))
  await add(1)
  await add(2)
  feed.join(other.cursor)
  await add(3)
  feed.skipTo(10)
  await add(11)
  await add(12)
  t.same(kinds(one), ['join', 'data', 'delta', 'delta', 'data', 'delta'])
  t.same(kinds(other), ['data', 'data', 'delta'])
  feed.leave(one.cursor)
  feed.leave(other.cursor)
  const again = new StreamCursor(one.reader, feed)
  feed.join(again)
  await add(13)
  t.same(kinds(one).slice(6), ['data'])
  t.equal(saved.length, 3)
})
