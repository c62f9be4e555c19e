import t from 'tap'
import type { CursorFeed } from '../../lib/hub/cursor.ts'
import { StreamCursor } from '../../lib/hub/cursor.ts'

function rig() {
  const given: string[] = []
  const subscriber = {
    outbox: { send: (frame: Buffer) => void given.push(frame.toString()) } as never,
    closed: false,
    maxSubscriptions: 1,
    insufficientState() {}
  }
  const cursor = new StreamCursor(subscriber, {} as CursorFeed)
  const receive = (...offsets: number[]) => {
    for (const offset of offsets) cursor.receive({ offset, frame: Buffer.from(`${offset}`) })
  }
  /** What it was given since it was asked last. */
  const news = () => given.splice(0)
  return { cursor, receive, news }
}

t.test('what comes is given once, and moves its place', async (t) => {
  const { cursor, receive, news } = rig()
  t.match(cursor, { offset: 0, live: false, ended: false, behind: false, buffer: undefined, gap: undefined })
  cursor.offset = 5
  receive(4, 5, 6, 6, 7)
  t.same(news(), ['6', '7'])
  t.equal(cursor.offset, 7)
})

t.test('behind a publication that is not for it, it goes on', async (t) => {
  const { cursor, receive, news } = rig()
  cursor.receive({ offset: 1, frame: undefined })
  t.equal(cursor.offset, 1)
  receive(2)
  t.same(news(), ['2'])
})

t.test('while history is read for it everything is kept; what history gave is not given again', async (t) => {
  const { cursor, receive, news } = rig()
  cursor.offset = 2
  cursor.buffer = []
  receive(4, 5, 6)
  t.same(news(), [])
  t.equal(cursor.offset, 2)
  cursor.send({ offset: 5, frame: Buffer.from('from history') })
  t.same(news(), ['from history'])
  cursor.flushBuffer()
  t.same(news(), ['6'])
  t.equal(cursor.offset, 6)
  t.equal(cursor.buffer, undefined)
  receive(7)
  t.same(news(), ['7'])
})

t.test('one that is behind is served from history later, and takes nothing until then', async (t) => {
  const { cursor, receive, news } = rig()
  cursor.behind = true
  receive(1)
  cursor.buffer = []
  receive(2)
  t.same(cursor.buffer, [])
  t.same(news(), [])
})

t.test('without a filter it accepts everything', async (t) => {
  const publication = { offset: 1, epoch: 'e', data: Buffer.from('1'), tags: new Map([['k', 'a']]) }
  const subscriber = { outbox: {} as never, closed: false, maxSubscriptions: 1, insufficientState() {} }
  t.equal(new StreamCursor(subscriber, {} as CursorFeed).accepts(publication), true)
  const filtered = new StreamCursor(subscriber, {} as CursorFeed, (tags) => tags?.get('k') === 'b')
  t.equal(filtered.accepts(publication), false)
  t.equal(filtered.accepts({ ...publication, tags: new Map([['k', 'b']]) }), true)
})

t.test('one that is dropped from its feed has no base for a delta any more', async (t) => {
  const { cursor } = rig()
  Object.assign(cursor, { place: 0, hasBase: true })
  cursor.dropped()
  t.match(cursor, { live: false, hasBase: false })
})
