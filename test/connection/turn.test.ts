import t from 'tap'
import { Outbox } from '../../lib/connection/outbox.ts'
import { type Batch, Turn } from '../../lib/connection/turn.ts'
import { addFeeds } from '../support/feeds.ts'
import { SlowStream } from '../support/slow-stream.ts'

const endOfTurn = () => new Promise(setImmediate)

function make(report?: (error: unknown) => void) {
  const turn = new Turn(report)
  const stream = new SlowStream()
  const outbox = new Outbox(stream, turn, { soft: 1_024, hard: 4_096 }, { overflowed() {}, caughtUp() {} })
  const batchOf = (...outboxes: Outbox[]) => {
    const frames: Buffer[] = []
    const batch: Batch & { add(text: string): void } = {
      add(text) {
        if (frames.push(Buffer.from(text)) === 1) turn.addBatch(batch)
      },
      handOut() {
        const count = frames.length
        if (count === 0) return
        const chunk = Buffer.concat(frames.splice(0))
        for (const one of outboxes) one.deliver(chunk, count)
      }
    }
    for (const one of outboxes) addFeeds(one, batch)
    return batch
  }
  return { turn, stream, outbox, batchOf, written: () => stream.taken.map(String) }
}

t.test('what is sent in one turn leaves in one write at its end', async (t) => {
  const { outbox, written } = make()
  for (const text of ['a', 'b', 'c']) outbox.send(Buffer.from(text))
  await Promise.resolve()
  t.same(written(), [])
  await endOfTurn()
  t.same(written(), ['abc'])
})

t.test('batches are handed out before the outboxes are written', async (t) => {
  const { batchOf, outbox, written } = make()
  const [first, second] = [batchOf(outbox), batchOf(outbox)]
  first.add('1')
  second.add('2')
  first.add('3')
  await endOfTurn()
  t.same(written(), ['132'])
})

t.test('what is sent after a publication stands behind it', async (t) => {
  const { batchOf, outbox, written } = make()
  const batch = batchOf(outbox)
  batch.add('published ')
  outbox.send(Buffer.from('sent '))
  batch.add('published again')
  await endOfTurn()
  t.same(written(), ['published sent published again'])
})

t.test('a batch of another outbox goes on gathering, as does one that has been taken away', async (t) => {
  const { turn, outbox } = make()
  const other = make()
  let handOuts = 0
  const batch = { handOut: () => void handOuts++ }
  addFeeds(other.outbox, batch)
  addFeeds(outbox, batch)
  outbox.feeds = undefined
  turn.addBatch(batch)
  outbox.send(Buffer.from('a'))
  t.equal(handOuts, 0)
  await endOfTurn()
  t.equal(handOuts, 1)
})

t.test('each turn starts anew', async (t) => {
  const { batchOf, outbox, written, stream } = make()
  const batch = batchOf(outbox)
  batch.add('1')
  await endOfTurn()
  await stream.drain()
  batch.add('2')
  outbox.send(Buffer.from('3'))
  await endOfTurn()
  t.same(written(), ['1', '23'])
})

t.test('case 129: an error in one batch is reported, and the others are handed out', async (t) => {
  const failures: unknown[] = []
  const { turn, outbox, batchOf, written, stream } = make((error) => failures.push(error))
  const error = new Error('one batch')
  const batch = batchOf(outbox)
  const failing = {
    handOut() {
      throw error
    }
  }
  turn.addBatch(failing)
  batch.add('1')
  await endOfTurn()
  t.same(written(), ['1'])
  await stream.drain()
  addFeeds(outbox, failing)
  turn.addBatch(failing)
  batch.add('2')
  outbox.send(Buffer.from('3'))
  await endOfTurn()
  t.same(written(), ['1', '23'], 'the next turn is as ever')
  t.same(failures, [error, error, error])
})

t.test('case 129: an outbox that can’t be written ends its connection alone', async (t) => {
  const failures: unknown[] = []
  const { turn, outbox, written } = make((error) => failures.push(error))
  const error = new Error('one stream')
  const broken = new SlowStream()
  broken.write = () => {
    throw error
  }
  const other = new Outbox(broken, turn, { soft: 1_024, hard: 4_096 }, { overflowed() {}, caughtUp() {} })
  other.send(Buffer.from('lost'))
  outbox.send(Buffer.from('1'))
  await endOfTurn()
  t.same(written(), ['1'])
  t.ok(broken.destroyed, 'its client comes back for what was lost')
  t.same(failures, [error])
})

t.test('case 129: what nobody waits for is reported, or thrown if nobody takes reports', async (t) => {
  const failures: unknown[] = []
  const error = new Error('a callback')
  const fail = () => {
    throw error
  }
  new Turn((one) => failures.push(one)).attempt(fail)
  t.same(failures, [error])
  t.throws(() => new Turn().attempt(fail), error)
})

t.test('at the end of a turn the last batch that is for many is handed out as such', async (t) => {
  const { turn } = make()
  const moments: string[] = []
  const batch = (name: string, isPrivate: boolean | undefined): Batch => ({
    isPrivate,
    handOut: (moment) => void moments.push(`${name} ${moment}`)
  })
  turn.addBatch(batch('replies', true))
  turn.addBatch(batch('feed', undefined))
  turn.addBatch(batch('other feed', false))
  turn.addBatch(batch('other replies', true))
  await endOfTurn()
  t.same(moments, ['replies end', 'feed end', 'other feed last', 'other replies end'])
  turn.addBatch(batch('replies', true))
  await endOfTurn()
  t.same(moments.slice(4), ['replies end'])
})

t.test('what is gathered while batches are handed out is handed out in the next turn', async (t) => {
  // It waited until something else was sent.
  const { turn, batchOf, outbox, written } = make()
  const late = batchOf(outbox)
  turn.addBatch({ handOut: () => late.add('late') })
  await endOfTurn()
  t.same(written(), [])
  await endOfTurn()
  t.same(written(), ['late'])
})
