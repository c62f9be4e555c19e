import t from 'tap'
import { ChannelPatterns } from '../../lib/routes/patterns.ts'

t.test('names are matched whole, as they are', async (t) => {
  const patterns = new ChannelPatterns<string>()
  for (const pattern of ['rooms/:room', 'rooms/lobby', 'news', 'chat::main', 'files/*']) patterns.add(pattern, pattern)
  const cases: [string, string | undefined, Record<string, string>?][] = [
    ['rooms/a', 'rooms/:room', { room: 'a' }],
    ['rooms/lobby', 'rooms/lobby', {}],
    ['rooms/a:b', 'rooms/:room', { room: 'a:b' }],
    ['rooms/é?x;y#%', 'rooms/:room', { room: 'é?x;y#%' }],
    ['rooms/a%2Fb', 'rooms/:room', { room: 'a%2Fb' }],
    [`rooms/${'é'.repeat(120)}`, 'rooms/:room', { room: 'é'.repeat(120) }],
    ['rooms/a/b', undefined],
    ['rooms', undefined],
    ['Rooms/a', undefined],
    ['news', 'news', {}],
    ['news/', undefined],
    ['/news', undefined],
    ['news?a=1', undefined],
    ['files/a/b', 'files/*', { '*': 'a/b' }],
    ['__proto__', undefined],
    ['*', undefined]
  ]
  for (const [name, definition, params] of cases) {
    const match = patterns.find(name)
    t.equal(match?.definition, definition, name)
    if (params !== undefined) t.same(match?.params, params)
  }
})

t.test('a pattern matches the names that it writes, whatever is in them', async (t) => {
  // Names were escaped for the router and patterns were not: these were declared without a word, and never found.
  const patterns = new ChannelPatterns<string>()
  const declared = ['#general', 'what?', 'chat::lobby', 'chat::room-:id', 'news;:id', 'users@home/:name', '50%/:x?']
  const more = ['größe/:x', 'digits/:n(^\\d+$)', ':day(^[^#]+$)#::%']
  for (const pattern of [...declared, ...more]) patterns.add(pattern, pattern)
  const cases: [string, string | undefined, Record<string, string>?][] = [
    ['#general', '#general', {}],
    ['%23general', undefined],
    ['\u0003general', undefined],
    ['what?', 'what?', {}],
    ['what', undefined],
    ['chat:lobby', 'chat::lobby', {}],
    ['chat::lobby', undefined],
    ['chat:room-1', 'chat::room-:id', { id: '1' }],
    ['chat:room-:é?', 'chat::room-:id', { id: ':é?' }],
    ['news;1', 'news;:id', { id: '1' }],
    ['users@home/é%', 'users@home/:name', { name: 'é%' }],
    ['users@home/%41', 'users@home/:name', { name: '%41' }],
    ['50%', '50%/:x?', {}],
    ['50%/1', '50%/:x?', { x: '1' }],
    ['größe/#', 'größe/:x', { x: '#' }],
    ['digits/12', 'digits/:n(^\\d+$)', { n: '12' }],
    ['digits/1#', undefined],
    ['a?b#:%', ':day(^[^#]+$)#::%', { day: 'a?b' }],
    ['a#b#:%', undefined],
    [`users@home/${'%'.repeat(240)}`, 'users@home/:name', { name: '%'.repeat(240) }]
  ]
  for (const [name, definition, params] of cases) {
    const match = patterns.find(name)
    t.equal(match?.definition, definition, name)
    if (params !== undefined) t.same(match?.params, params)
  }
})

t.test('a pattern is declared once', async (t) => {
  const patterns = new ChannelPatterns<number>()
  patterns.add('a/:b', 1)
  t.throws(() => patterns.add('a/:b', 2))
  patterns.add('#a', 1)
  t.throws(() => patterns.add('#a', 2), { message: /#a/ }, 'and is named as it was written')
})
