import t from 'tap'
import { isChannelName, MAX_CHANNEL_BYTES } from '../../lib/protocol/channel-name.ts'

t.test('a name is 1 to 255 bytes of UTF-8, whatever the characters mean elsewhere', async (t) => {
  const names = ['a', 'rooms/1', '*', '?', '[a]', 'a:{b}', '}{', '__proto__', 'ä', '\u00e9', 'e\u0301', '👋', ' ']
  for (const name of names) t.ok(isChannelName(name), name)
  const longest = ['a'.repeat(255), 'é'.repeat(127), '€'.repeat(85), `${'👋'.repeat(63)}abc`]
  for (const name of longest) {
    t.ok(Buffer.byteLength(name) >= MAX_CHANNEL_BYTES - 1)
    t.ok(isChannelName(name), `${Buffer.byteLength(name)} bytes`)
    t.notOk(isChannelName(`${name}é`), 'and not two more')
  }
})

t.test('control characters and lone surrogates are refused', async (t) => {
  const names = ['\0', 'a\n', 'a\rb', '\u007f', '\u0085', '\ud83d', 'a\udc4bb']
  for (const name of names) t.notOk(isChannelName(name), JSON.stringify(name))
})

t.test('what is no name', async (t) => {
  for (const value of ['', undefined, null, 1, {}, ['a'], Symbol('a'), 'x'.repeat(10_000)])
    t.notOk(isChannelName(value))
})
