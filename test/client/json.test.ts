import t from 'tap'
import { parse, textOf } from '../../lib/client/json.ts'

t.test('what has no JSON text is refused', async (t) => {
  t.equal(textOf({ a: [1] }), '{"a":[1]}')
  for (const data of [undefined, () => 1, Symbol('s'), 1n]) t.throws(() => textOf(data), TypeError)
})

t.test('what is no JSON stays as it is', async (t) => {
  const bytes = new Uint8Array(1)
  t.same([parse('{"a":1}'), parse('null'), parse('{"a":'), parse('')], [{ a: 1 }, null, '{"a":', ''])
  t.equal(parse(bytes), bytes)
})
