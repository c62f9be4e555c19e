import t from 'tap'
import { Positions } from '../../lib/client/positions.ts'
import { parsePositions } from '../../lib/protocol/positions.ts'

const at = (offset: number, epoch = 'e') => ({ offset, epoch })

/** The position that the server gets. */
function known(positions: Positions, channel: string): unknown {
  return parsePositions(positions.since().text)?.get(channel)
}

t.test('publications advance a position, and what is not new does not', async (t) => {
  const positions = new Positions()
  t.ok(positions.advance('a', at(3), false))
  t.notOk(positions.advance('a', at(3), false))
  t.notOk(positions.advance('a', at(2), false))
  t.ok(positions.advance('a', at(4), true))
  t.same(known(positions, 'a'), at(4))
  t.notOk(positions.advance('a', at(9, 'other'), true), 'an old connection brings no other epoch')
  t.ok(positions.advance('a', at(1, 'other'), false))
  t.ok(positions.advance('b', at(1), true))
  positions.delete('a')
  t.equal(known(positions, 'a'), undefined)
})

t.test('a subscription that goes on from elsewhere: what was missed, and where it is now', async (t) => {
  const positions = new Positions()
  t.notOk(positions.restart('a', at(4), false), 'a first one')
  t.same(known(positions, 'a'), at(4))
  t.notOk(positions.restart('a', at(4), false), 'nothing was published meanwhile')
  t.notOk(positions.restart('a', at(3), false), 'behind what has come')
  t.same(known(positions, 'a'), at(4))
  t.ok(positions.restart('a', at(5), false))
  t.same(known(positions, 'a'), at(5))
  t.ok(positions.restart('a', at(1, 'other'), false), 'another epoch')
  t.same(known(positions, 'a'), at(1, 'other'))
  t.ok(positions.restart('a', at(1, 'other'), true), 'the server does not go on from what it was given')
  t.notOk(positions.restart('no history', at(0, ''), false))
  t.equal(known(positions, 'no history'), undefined)
})

t.test('the server reads what is written, whatever the names', async (t) => {
  for (const channels of [[], ['a'], ['a', 'bc'], ['rooms/ü€👋"\\', 'x', 'y'], ['\u007f']]) {
    const positions = new Positions()
    for (const [index, channel] of channels.entries()) positions.set(channel, at(index, 'é'))
    const { text, channels: written } = positions.since()
    t.match(text, /^[\w-]+$/)
    const expected = channels.map((channel, index) => [channel, at(index, 'é')] as const)
    t.same(parsePositions(text), new Map(expected.reverse()))
    t.same(written, new Set(channels))
  }
})

t.test('as many as a URL takes, the newest first', async (t) => {
  const positions = new Positions()
  for (let i = 0; i < 500; i++) positions.set(`channels/${i}`, at(i))
  positions.set('channels/0', at(1))
  const { text, channels } = positions.since()
  t.ok(text.length <= 4_000, String(text.length))
  t.ok(channels.size > 50 && channels.size < 500)
  t.ok(channels.has('channels/0') && channels.has('channels/499'))
  t.notOk(channels.has('channels/1'))
})
