import t from 'tap'
import { MAX_TAGS, readTags, tagsOf, writeTags } from '../../lib/protocol/tags.ts'

t.test('tags are an object of strings within bounds', async (t) => {
  t.strictSame(tagsOf({ b: 'x', a: '' }), new Map(Object.entries({ b: 'x', a: '' })))
  t.strictSame(tagsOf({}), new Map())
  const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`k${n}`, 'v']))
  t.equal(tagsOf(many(MAX_TAGS.count))?.size, MAX_TAGS.count)
  t.ok(tagsOf({ ['k'.repeat(MAX_TAGS.keyBytes)]: 'v'.repeat(MAX_TAGS.valueBytes) }))
  const wrong = [
    undefined,
    null,
    'a',
    ['a'],
    { a: 1 },
    { a: null },
    { '': 'a' },
    many(MAX_TAGS.count + 1),
    { ['k'.repeat(MAX_TAGS.keyBytes + 1)]: 'v' },
    { ['é'.repeat(MAX_TAGS.keyBytes / 2 + 1)]: 'v' },
    { k: 'v'.repeat(MAX_TAGS.valueBytes + 1) },
    { k: '\ud800' },
    { '\udc00': 'v' }
  ]
  for (const value of wrong) t.equal(tagsOf(value), undefined, JSON.stringify(value))
})

t.test('tags as JSON, with any characters, and names that objects have themselves', async (t) => {
  const tags = new Map([
    ['__proto__', 'a'],
    ['constructor', '"\n\u2028\u0000'],
    ['ä', '😀']
  ])
  const text = writeTags(tags)
  t.notOk(text.includes('\n'))
  t.strictSame(readTags(text), tags)
  t.equal(writeTags(new Map()), '{}')
})

t.test('a text that is no tags, or too long to be some, is refused', async (t) => {
  for (const text of ['', '{', '[]', '1', '{"a":1}', `{"a":"b"${' '.repeat(100_000)}}`])
    t.equal(readTags(text), undefined)
  const largest = Object.fromEntries(
    Array.from({ length: MAX_TAGS.count }, (_, n) => [
      String.fromCharCode(1 + n).repeat(MAX_TAGS.keyBytes),
      '\u0000'.repeat(MAX_TAGS.valueBytes)
    ])
  )
  const tags = tagsOf(largest)
  t.strictSame(readTags(writeTags(tags ?? new Map())), tags)
})
