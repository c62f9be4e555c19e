import t from 'tap'
import type { Publication } from '../../lib/broker/broker.ts'
import { Turn } from '../../lib/connection/turn.ts'
import { type CursorFeed, StreamCursor } from '../../lib/hub/cursor.ts'
import { PlainRound, partOf } from '../../lib/hub/round.ts'
import { compileFilter } from '../../lib/protocol/tags-filter.ts'
import { FakeConnection } from '../support/fake-connection.ts'

const frames = (count: number) => Array.from({ length: count }, (_, n) => Buffer.from(`<${n}>`))

function tagged(...values: (string | undefined)[]): (Publication | undefined)[] {
  return values.map((value) =>
    value === undefined
      ? undefined
      : { offset: 1, epoch: 'e', data: Buffer.from('0'), ...(value !== '' && { tags: new Map([['k', value]]) }) }
  )
}

function cursor(value?: string): StreamCursor {
  const filter = value === undefined ? undefined : compileFilter({ key: 'k', cmp: 'eq', val: value })
  return new StreamCursor(new FakeConnection({ turn: new Turn() }), {} as CursorFeed, filter)
}

t.test('one part for all that exclude nothing', async (t) => {
  const round = new PlainRound(frames(3), undefined, undefined)
  const part = round.partFor(cursor())
  t.equal(part?.chunk.toString(), '<0><1><2>')
  t.equal(part?.count, 3)
  t.equal(round.partFor(cursor()), part)
  t.equal(round.saved, 0)
  const [frame] = frames(1)
  t.equal(partOf([frame as Buffer]).chunk, frame, 'one frame is not copied')
})

t.test('what a filter lets pass; those that receive the same share a chunk', async (t) => {
  const round = new PlainRound(frames(4), undefined, tagged('a', 'b', undefined, ''))
  const part = round.partFor(cursor('a'))
  t.equal(part?.chunk.toString(), '<0><2>', 'a join or a leave passes')
  t.equal(part?.count, 2)
  t.equal(round.partFor(cursor('a')), part)
  t.equal(round.partFor(cursor('b'))?.chunk.toString(), '<1><2>')
  t.equal(round.partFor(cursor('c'))?.chunk.toString(), '<2>')
  const all = new PlainRound(frames(2), undefined, tagged('a', 'a'))
  t.equal(all.partFor(cursor('a')), all.partFor(cursor()))
  t.equal(all.partFor(cursor('b')), undefined)
  t.equal(new PlainRound(frames(1), undefined, undefined).partFor(cursor('b'))?.count, 1)
})

t.test('a connection is excepted, with and without a filter', async (t) => {
  const [plain, filtered] = [cursor(), cursor('a')]
  const exceptions = new Map([plain, filtered].map(({ subscriber }) => [subscriber.outbox, new Set([1])]))
  const round = new PlainRound(frames(3), exceptions, tagged('a', 'a', 'b'))
  t.equal(round.partFor(plain)?.chunk.toString(), '<0><2>')
  t.equal(round.partFor(filtered)?.chunk.toString(), '<0>')
  t.equal(round.partFor(cursor('a'))?.chunk.toString(), '<0><1>')
})

t.test('more frames than a set has bits', async (t) => {
  const values = Array.from({ length: 40 }, (_, n) => (n % 2 === 0 ? 'a' : n === 39 ? undefined : 'b'))
  const one = cursor('a')
  const other = cursor()
  const exceptions = new Map([[other.subscriber.outbox, new Set([0, 35])]])
  const round = new PlainRound(frames(40), exceptions, tagged(...values))
  const expected = values.flatMap((value, n) => (value === 'b' ? [] : `<${n}>`))
  t.equal(round.partFor(one)?.chunk.toString(), expected.join(''))
  t.equal(round.partFor(other)?.count, 38)
  t.equal(round.partFor(cursor('c'))?.chunk.toString(), '<39>')
})
