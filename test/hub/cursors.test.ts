import t from 'tap'
import type { Turn } from '../../lib/connection/turn.ts'
import { type CursorFeed, StreamCursor, type Subscriber } from '../../lib/hub/cursor.ts'
import { Cursors } from '../../lib/hub/cursors.ts'

/** A cursor in a channel, live unless told. */
function cursorIn(channel: string, live = true): StreamCursor {
  const cursor = new StreamCursor({} as Subscriber, { channel } as CursorFeed)
  if (live) cursor.place = 0
  return cursor
}

/** Channels whose feeds are handed out. */
function handedOut(cursors: Cursors): string[] {
  const channels: string[] = []
  cursors.handOut({ handOut: ({ channel }: CursorFeed) => channels.push(channel) } as unknown as Turn)
  return channels
}

t.test('none, one and more: each is found by its channel, and taken out once', async (t) => {
  const cursors = new Cursors()
  const all = ['a', 'b', 'c'].map((channel) => cursorIn(channel))
  const [a, b, c] = all as [StreamCursor, StreamCursor, StreamCursor]
  t.same([cursors.size, ...cursors], [0])
  t.equal(cursors.get('a'), undefined)
  t.equal(cursors.remove('a'), undefined)
  for (const [at, cursor] of all.entries()) {
    cursors.add(cursor)
    t.equal(cursors.size, at + 1)
    t.equal(cursors.get(cursor.feed.channel), cursor)
    t.equal(cursors.get('z'), undefined)
    t.equal(cursors.remove('z'), undefined)
    t.strictSame([...cursors], all.slice(0, at + 1))
  }
  t.equal(cursors.remove('b'), b)
  t.equal(cursors.remove('b'), undefined)
  t.strictSame([...cursors], [a, c])
  for (const cursor of [a, c]) t.equal(cursors.remove(cursor.feed.channel), cursor)
  t.equal(cursors.size, 0)
  const one = new Cursors()
  one.add(a)
  t.equal(one.remove('a'), a)
  t.equal(one.size, 0)
})

t.test('the feeds that the subscriber is live in are handed out', async (t) => {
  const cursors = new Cursors()
  t.same(handedOut(cursors), [])
  cursors.add(cursorIn('a'))
  t.same(handedOut(cursors), ['a'])
  cursors.add(cursorIn('b', false))
  cursors.add(cursorIn('c'))
  t.same(handedOut(cursors), ['a', 'c'])
  const aside = new Cursors()
  aside.add(cursorIn('a', false))
  t.same(handedOut(aside), [])
})
