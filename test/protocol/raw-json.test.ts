import fc from 'fast-check'
import t from 'tap'
import { rawMember } from '../../lib/protocol/raw-json.ts'

t.test('the text of a member, as it stands', async (t) => {
  const text =
    '{ "id" : 1, "publish" : {"channel":"a","data" : [1.0, 9007199254740993, "\\"}", {"x":"\\\\"}] , "b":2} }'
  t.equal(rawMember(text, ['publish', 'data']), '[1.0, 9007199254740993, "\\"}", {"x":"\\\\"}]')
  t.equal(rawMember(text, ['id']), '1')
  t.equal(rawMember(text, ['publish', 'b']), '2')
  t.equal(rawMember(text, ['publish', 'none']), undefined)
  t.equal(rawMember(text, ['id', 'none']), undefined)
  t.equal(rawMember('{}', ['a']), undefined)
  t.equal(rawMember(' 5 ', []), '5')
  t.equal(rawMember('{"a":""}', ['a']), '""')
})

t.test('of two members with one name the last counts, however it is spelt', async (t) => {
  t.equal(rawMember('{"a":1,"a":2}', ['a']), '2')
  t.equal(rawMember('{"a":1,"\\u0061":3}', ['a']), '3')
})

t.test('what JSON.parse finds, in any text', async (t) => {
  fc.assert(
    fc.property(fc.json(), fc.json(), fc.string(), (data, other, key) => {
      const text = `{"x":${other},"publish":{${JSON.stringify(`${key}.`)}:${other},"data":${data},"z":${other}},"y":${other}}`
      t.equal(rawMember(text, ['publish', 'data']), data)
      t.same(JSON.parse(rawMember(text, ['publish']) as string), JSON.parse(text).publish)
    }),
    { numRuns: 200 }
  )
})
