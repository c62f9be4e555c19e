import t from 'tap'
import { ChannelPatterns } from '../../lib/channels/patterns.ts'

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

t.test('a pattern is declared once', async (t) => {
  const patterns = new ChannelPatterns<number>()
  patterns.add('a/:b', 1)
  t.throws(() => patterns.add('a/:b', 2))
})
