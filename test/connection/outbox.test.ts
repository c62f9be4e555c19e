import t from 'tap'
import { Outbox, type WsQueue } from '../../lib/connection/outbox.ts'
import { Turn } from '../../lib/connection/turn.ts'
import { textFrame } from '../../lib/protocol/frame.ts'
import { addFeeds } from '../support/feeds.ts'
import { parseFrame } from '../support/raw-frames.ts'
import { SlowStream } from '../support/slow-stream.ts'

const SOFT = 2_048
const HARD = 8_192

function make(limits = { soft: SOFT, hard: HARD }) {
  const stream = new SlowStream()
  const turn = new Turn()
  const events: string[] = []
  const outbox = new Outbox(stream, turn, limits, {
    overflowed() {
      events.push('overflowed')
      outbox.close()
    },
    caughtUp: () => events.push('caught up')
  })
  return { stream, turn, outbox, events }
}

const frameOf = (text: string, size = 0) => textFrame(text.padEnd(size, '.'))

/** The texts of all frames that were written, without their padding. */
function texts(stream: SlowStream): string[] {
  const found: string[] = []
  let bytes: Buffer = Buffer.concat(stream.taken)
  for (let parsed = parseFrame(bytes); parsed !== undefined; parsed = parseFrame(bytes)) {
    found.push(parsed.frame.text.replace(/\.+$/, ''))
    bytes = parsed.rest
  }
  return found
}

/** Fills the stream until publications are kept back. */
function lag({ outbox, turn }: ReturnType<typeof make>): void {
  outbox.send(frameOf('filling', SOFT))
  turn.flush()
}

t.test('frames and publications leave in the order they came in, in one write', async (t) => {
  const { stream, turn, outbox } = make()
  outbox.send(frameOf('1'))
  outbox.deliver(Buffer.concat([frameOf('2'), frameOf('3')]), 2)
  outbox.send(frameOf('4'))
  t.equal(outbox.waiting, 12)
  turn.flush()
  t.equal(stream.taken.length, 1)
  t.same(texts(stream), ['1', '2', '3', '4'])
  t.equal(outbox.waiting, 0)
  t.match({ ...outbox }, { messages: 4, bytes: 12, dropped: 0 })
})

t.test('much at once does not wait for the end of the turn', async (t) => {
  const { stream, outbox } = make({ soft: 65_536, hard: 1_048_576 })
  for (let i = 0; i < 5; i++) outbox.send(frameOf(String(i), 20_000))
  t.equal(stream.taken.length, 1)
  t.equal(outbox.waiting, 20_004)
})

t.test('what is written past it stands behind what came before', async (t) => {
  const { stream, outbox } = make()
  outbox.send(frameOf('1'))
  outbox.bypass(100)
  t.same(texts(stream), ['1'])
  t.match({ ...outbox }, { messages: 2, bytes: 103 })
})

t.test('a slow reader: publications are kept back, the oldest dropped, and that is said', async (t) => {
  const rig = make()
  const { stream, turn, outbox, events } = rig
  lag(rig)
  t.ok(outbox.lagging)
  for (let i = 1; i <= 5; i++) outbox.deliver(frameOf(`p${i}`, 600), 1)
  turn.flush()
  t.equal(outbox.waiting, 3 * 604, 'what is kept stays below the soft limit')
  t.equal(outbox.dropped, 2)
  await stream.drain()
  t.same(texts(stream), ['filling', '{"notice":{"code":"lagging","dropped":2}}', 'p3', 'p4', 'p5'])
  t.same(events, ['caught up'])
  t.notOk(outbox.lagging)
  t.equal(outbox.messages, 4)
  t.equal(outbox.waiting, 0)
})

t.test('each notice tells what was dropped since the last', async (t) => {
  const rig = make()
  const { stream, outbox } = rig
  lag(rig)
  outbox.deliver(Buffer.concat([frameOf('a', 900), frameOf('b', 900)]), 2)
  outbox.deliver(frameOf('c', 1_900), 1)
  await stream.drain()
  lag(rig)
  for (const name of ['d', 'e', 'f']) outbox.deliver(frameOf(name, 1_000), 1)
  await stream.drain()
  lag(rig)
  outbox.deliver(frameOf('g'), 1)
  await stream.drain()
  const notice = (dropped: number) => `{"notice":{"code":"lagging","dropped":${dropped}}}`
  t.same(texts(stream), ['filling', notice(2), 'c', 'filling', notice(1), 'e', 'f', 'filling', 'g'])
  t.equal(outbox.dropped, 3)
})

t.test('one publication larger than the soft limit is kept', async (t) => {
  const rig = make()
  lag(rig)
  rig.outbox.deliver(frameOf('large', 2 * SOFT), 1)
  await rig.stream.drain()
  t.same(texts(rig.stream), ['filling', 'large'])
})

t.test('publications of the turn in which the reader catches up stand behind those kept back', async (t) => {
  const rig = make({ soft: SOFT, hard: 1_048_576 })
  const { stream, turn, outbox } = rig
  lag(rig)
  outbox.deliver(frameOf('old'), 1)
  const fresh = frameOf('new', 70_000)
  const batch = { handOut: () => outbox.deliver(fresh, 1) }
  addFeeds(outbox, batch)
  turn.addBatch(batch)
  stream.once('drain', () => turn.flush())
  await stream.drain()
  await stream.drain()
  t.same(texts(stream), ['filling', 'old', 'new'])
})

t.test('frames that must not be dropped go on while the reader lags', async (t) => {
  const rig = make()
  lag(rig)
  rig.outbox.send(frameOf('reply'))
  rig.turn.flush()
  await rig.stream.drain()
  t.same(texts(rig.stream), ['filling', 'reply'])
})

t.test('more than the hard limit waiting gives the reader up', async (t) => {
  const rig = make()
  const { turn, outbox, events } = rig
  for (let i = 0; i < 4; i++) lag(rig)
  t.same(events, [])
  outbox.send(frameOf('too much'))
  t.same(events, ['overflowed'])
  outbox.send(frameOf('later'))
  outbox.deliver(frameOf('later'), 1)
  turn.flush()
  t.equal(outbox.waiting, 0, 'nothing is kept for it')
  t.same(events, ['overflowed'], 'it is given up once')
  t.equal(outbox.messages, 4)
})

t.test('messages written past it count towards the hard limit', async (t) => {
  const { stream, outbox, events } = make()
  stream.write(Buffer.alloc(HARD + 1))
  outbox.bypass(1)
  t.same(events, ['overflowed'])
})

t.test('one message larger than the hard limit goes out where nothing else waits', async (t) => {
  const { stream, turn, outbox, events } = make()
  outbox.deliver(frameOf('huge', 100_000), 1)
  turn.flush()
  await stream.drain()
  t.same(texts(stream), ['huge'])
  outbox.send(frameOf('huge again', 100_000))
  t.same(events, ['caught up'])
})

t.test('many small frames of one turn are no slow reader', async (t) => {
  const { turn, outbox, events } = make({ soft: 1_024, hard: 1_024 })
  for (let i = 0; i < 100; i++) outbox.send(frameOf('x', 60))
  turn.flush()
  t.same(events, [])
})

t.test('nothing goes between the fragments of a message', async (t) => {
  const { stream, turn, outbox } = make()
  outbox.hold()
  t.ok(outbox.held)
  outbox.send(frameOf('1'))
  outbox.deliver(frameOf('2'), 1)
  turn.flush()
  t.same(stream.taken, [])
  outbox.release()
  t.notOk(outbox.held)
  outbox.release()
  t.same(texts(stream), ['1', '2'])
})

t.test('nor does what was kept back for a slow reader', async (t) => {
  const rig = make()
  const { stream, turn, outbox } = rig
  lag(rig)
  outbox.deliver(frameOf('old'), 1)
  outbox.hold()
  await stream.drain()
  outbox.deliver(frameOf('new'), 1)
  turn.flush()
  t.same(texts(stream), ['filling'])
  outbox.release()
  await stream.drain()
  t.same(texts(stream), ['filling', 'old', 'new'])
})

t.test('and where the reader still lags at the last fragment, it waits on', async (t) => {
  const rig = make()
  lag(rig)
  rig.outbox.deliver(frameOf('old'), 1)
  rig.outbox.hold()
  rig.outbox.release()
  t.equal(rig.outbox.waiting, 5)
  await rig.stream.drain()
  t.same(texts(rig.stream), ['filling', 'old'])
})

t.test('a message never finished is bounded by the hard limit', async (t) => {
  const { outbox, events } = make()
  outbox.hold()
  for (let i = 0; i < 10; i++) outbox.send(frameOf('x', 1_000))
  t.same(events, ['overflowed'])
})

t.test('finishing writes all that waits, publications kept back included', async (t) => {
  const rig = make()
  lag(rig)
  rig.outbox.deliver(frameOf('kept'), 1)
  rig.outbox.send(frameOf('reply'))
  rig.outbox.finish()
  t.equal(rig.outbox.waiting, 0)
  await rig.stream.drain()
  t.same(texts(rig.stream).sort(), ['filling', 'kept', 'reply'])
})

t.test('once closed it writes nothing and keeps nothing', async (t) => {
  const rig = make()
  lag(rig)
  rig.outbox.deliver(frameOf('kept'), 1)
  rig.outbox.send(frameOf('a'))
  rig.outbox.close()
  t.equal(rig.outbox.waiting, 0)
  rig.outbox.deliver(frameOf('b'), 1)
  rig.outbox.send(frameOf('c'))
  rig.outbox.finish()
  t.equal(rig.outbox.waiting, 0)
  rig.turn.flush()
  await rig.stream.drain()
  t.same(texts(rig.stream), ['filling'])
})

t.test('nothing is written to a stream that has ended', async (t) => {
  const { stream, turn, outbox } = make()
  stream.once('error', t.error)
  stream.end()
  outbox.send(frameOf('a'))
  turn.flush()
  t.same(stream.taken, [])
  t.equal(outbox.bytes, 0)
})

t.test('with the queue of ws everything takes it, and what waits there counts', async (t) => {
  const { stream, turn, outbox, events } = make()
  const sent: string[] = []
  let queued = 0
  const wsQueue: WsQueue = {
    send(chunk) {
      sent.push(chunk.toString('latin1'))
      queued += chunk.length
    },
    get buffered() {
      return queued
    }
  }
  outbox.wsQueue = wsQueue
  outbox.send(frameOf('1'))
  outbox.deliver(frameOf('2'), 1)
  turn.flush()
  t.same(sent, ['\x81\x011\x81\x012'])
  t.same(stream.taken, [])
  t.equal(outbox.bytes, 6)
  queued = HARD + 1
  outbox.send(frameOf('3'))
  t.same(events, ['overflowed'])
})

t.test('case 129: an error once the reader reads again is reported, and doesn’t end the process', async (t) => {
  const failures: unknown[] = []
  const error = new Error('caught up')
  const stream = new SlowStream()
  const turn = new Turn((one) => failures.push(one))
  const owner = {
    overflowed() {},
    caughtUp() {
      throw error
    }
  }
  const outbox = new Outbox(stream, turn, { soft: SOFT, hard: HARD }, owner)
  outbox.send(frameOf('filling', SOFT))
  turn.flush()
  await stream.drain()
  t.same(failures, [error])
})

/** Replies of which there may be some. */
function replies() {
  const batch = { isPrivate: true, handOut: (moment: string) => void moments.push(moment) }
  const moments: string[] = []
  return { batch, moments }
}

t.test('what is all that comes in a turn is written at once at its end', async (t) => {
  const rig = make()
  const { stream, turn, outbox } = rig
  let queued = 0
  const { addOutbox } = turn
  turn.addOutbox = (one) => {
    queued++
    addOutbox.call(turn, one)
  }
  const feed = { handOut() {} }
  addFeeds(outbox, feed)
  outbox.deliver(frameOf('1'), 1, feed, 'end')
  await stream.drain()
  addFeeds(outbox, { handOut() {} })
  outbox.deliver(frameOf('2'), 1, feed, 'last')
  await stream.drain()
  t.same(texts(stream), ['1', '2'])
  t.equal(queued, 0)
  t.match({ ...outbox }, { messages: 2, bytes: 6 })
  outbox.deliver(frameOf('3'), 1, feed, 'end')
  t.equal(queued, 1, 'another feed may have something for it')
  outbox.deliver(frameOf('4'), 1, feed, 'last')
  t.equal(outbox.waiting, 6, 'what stands before it is written with it')
  turn.flush()
  await stream.drain()
  t.same(texts(stream), ['1', '2', '3', '4'])
})

t.test('replies that were gathered leave with what is delivered, in order', async (t) => {
  const { stream, turn, outbox } = make()
  const { batch, moments } = replies()
  outbox.replies = batch
  outbox.deliver(frameOf('1'), 1, undefined, 'last')
  t.same(stream.taken, [])
  turn.flush()
  await stream.drain()
  outbox.replies = undefined
  outbox.deliver(frameOf('2'), 1, undefined, 'last')
  await stream.drain()
  t.same(texts(stream), ['1', '2'])
  t.same(moments, [], 'nobody gathers')
  outbox.replies = batch
  turn.addBatch(batch)
  outbox.send(frameOf('3'))
  t.same(moments, ['during'], 'what is sent stands behind them')
})

t.test('at the end of a turn, too: a slow reader, a fragmented message, the hard limit, the end', async (t) => {
  const rig = make()
  const { stream, outbox, events } = rig
  const deliver = (text: string, size = 0) => outbox.deliver(frameOf(text, size), 1, undefined, 'last')
  outbox.hold()
  deliver('1')
  outbox.release()
  t.same(texts(stream), ['1'], 'nothing goes between fragments')
  await stream.drain()
  deliver('2', SOFT)
  t.ok(outbox.lagging)
  deliver('3')
  await stream.drain()
  t.same(events, ['caught up'])
  await stream.drain()
  t.same(texts(stream), ['1', '2', '3'])
  stream.write(Buffer.alloc(HARD + 1))
  deliver('4')
  t.same(events, ['caught up', 'overflowed'])
  deliver('5')
  t.equal(outbox.messages, 3)
})
