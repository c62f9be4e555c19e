import t from 'tap'
import { clipped, clippedValue } from '../../lib/input/clipped.ts'

t.test('a text is as long as its JSON, and cut between characters', async (t) => {
  t.equal(clipped('short'), 'short')
  t.equal(clipped('x'.repeat(256)), 'x'.repeat(256))
  t.equal(clipped('x'.repeat(257)), `${'x'.repeat(256)}…`)
  for (const character of ['a', 'ä', '€', '😀', '"', '\\', '\u0001', '\ud800']) {
    const size = Buffer.byteLength(JSON.stringify(character)) - 2
    const fits = Math.floor(100 / size)
    t.equal(clipped(character.repeat(fits), 100), character.repeat(fits), JSON.stringify(character))
    t.equal(clipped(character.repeat(fits + 1), 100), `${character.repeat(fits)}…`, JSON.stringify(character))
  }
})

t.test('a value that is short is what it was', async (t) => {
  const small = { a: [1, 'b'] }
  for (const value of [small, null, undefined, 5, true, 'text']) t.equal(clippedValue(value), value)
  t.equal(clippedValue('x'.repeat(9), 4), 'xxxx…')
  t.equal(clippedValue({ a: 'x'.repeat(99) }, 10), '{"a":"x…')
  const unsaid = { toJSON: () => undefined }
  t.equal(clippedValue(unsaid), unsaid, 'JSON says nothing of it')
  t.throws(() => clippedValue({ n: 1n }))
})
