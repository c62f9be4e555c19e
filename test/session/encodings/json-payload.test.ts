import t from 'tap'
import { isSafeJson, onOneLine, readJsonPayload } from '../../../lib/session/encodings/json-payload.ts'

const read = (text: string | Buffer, maxDepth = 4) => readJsonPayload(Buffer.from(text as string), maxDepth)

t.test('a payload that is JSON', async (t) => {
  for (const text of ['1', 'null', '"é"', ' {"a":[1]}\n', '{"constructor":1}', '[[[[]]]]']) {
    t.same(read(text), { value: JSON.parse(text) }, text)
  }
})

t.test('a payload that is not, or that nothing may be done with', async (t) => {
  const wrong = ['', '{', '1 2', '\ufeff1', '{"__proto__":1}', '{"constructor":{"prototype":1}}', '1e999', '"\\ud800"']
  for (const text of [...wrong, '[[[[[]]]]]', '['.repeat(100_000)]) t.equal(read(text), undefined, text.slice(0, 20))
  t.equal(read(Buffer.from([0x22, 0xff, 0x22])), undefined, 'not UTF-8')
  t.equal(read('[1]', 0), undefined)
})

t.test('what is safe', async (t) => {
  const isSafe = (text: string) => isSafeJson(text, JSON.parse(text))
  t.ok(isSafe('{"\\u005f_proto":1}'))
  t.notOk(isSafe('{"\\u005f_proto__":1}'))
})

t.test('line breaks of a JSON text', async (t) => {
  t.equal(onOneLine('{\r\n  "a": "\\n"\n}'), '{   "a": "\\n" }')
})
