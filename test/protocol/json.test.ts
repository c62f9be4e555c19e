import t from 'tap'
import { hasUnsafeInteger, isDeeperThan, isUnportable } from '../../lib/protocol/json.ts'

const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)

t.test('depth is counted in arrays and objects', async (t) => {
  t.notOk(isDeeperThan(nested(64), 64))
  t.ok(isDeeperThan(nested(65), 64))
  t.ok(isDeeperThan('{"a":{"b":[1]}}', 2))
  t.notOk(isDeeperThan('{"a":{"b":[1]}}', 3))
  t.notOk(isDeeperThan('[[1],[2],[3],[4]]', 2), 'not in how many there are')
  t.ok(isDeeperThan('['.repeat(10_000), 64), 'nor must they be closed')
})

t.test('brackets in strings do not count', async (t) => {
  t.notOk(isDeeperThan(JSON.stringify({ a: '[[[[{{{{' }), 1))
  t.notOk(isDeeperThan(JSON.stringify(['"[[[[', '\\', '\\"[[[', '\\\\']), 1))
  t.ok(isDeeperThan(JSON.stringify(['\\', [['\\']]]), 2))
  t.notOk(isDeeperThan('["[[[[[', 1), 'an open string is the parser’s to report')
  t.notOk(isDeeperThan('["\\"[[[[[', 1))
})

t.test('it takes time in proportion to the length, whatever the text', async (t) => {
  const texts = ['"\\'.repeat(500_000), `"${'\\'.repeat(1_000_000)}`, '"'.repeat(1_000_000), ']'.repeat(1_000_000)]
  for (const text of texts) t.notOk(isDeeperThan(text, 64))
})

t.test('a value that JSON cannot say again', async (t) => {
  const texts = [
    '1e999',
    '-1E+400',
    '[0,{"a":[1e309]}]',
    '9'.repeat(309),
    `${'9'.repeat(250)}e99`,
    `${'9'.repeat(300)}e9`,
    '"\\ud83d"',
    '"\\uDC4B"',
    '["\\udc4b\\ud83d"]',
    '{"\\ud83d":1}',
    '{"a":{"b":["\\uD83D"]}}'
  ]
  for (const text of texts) t.ok(isUnportable(text, JSON.parse(text)), text.slice(0, 40))
})

t.test('a value that only looks like one', async (t) => {
  const texts = [
    '"\\ud83d\\udc4b"',
    '{"\\ud83d\\udc4b":null}',
    '1e308',
    '1e-999',
    '9'.repeat(308),
    `0.${'9'.repeat(400)}`,
    '"1e999"',
    '["e123", 1, true, null]',
    '"plain"',
    'null'
  ]
  for (const text of texts) t.notOk(isUnportable(text, JSON.parse(text)), text.slice(0, 40))
})

t.test('case 165: a whole number beyond 2^53, which a double may not hold', async (t) => {
  const unsafe = [
    '9007199254740992',
    '9007199254740993',
    '-9007199254740993',
    '[true,false,null,1.5e3,12345678901234567890]',
    '{"1234567890123456":{"a":[1,"\\"",9007199254740993]}}',
    '9007199254740993.0',
    '9'.repeat(300)
  ]
  for (const text of unsafe) t.ok(hasUnsafeInteger(text), text.slice(0, 60))
  const safe = [
    '9007199254740991',
    '-9007199254740991',
    '0.12345678901234567890',
    '1.7976931348623157e308',
    '1e20',
    '"9007199254740993"',
    '{"a\\"9007199254740993":1}',
    '[1234567890123456,1]',
    'true'
  ]
  for (const text of safe) t.notOk(hasUnsafeInteger(text), text.slice(0, 60))
  for (let before = 0; before < 40; before++) {
    const around = (digits: string) => `{"${'x'.repeat(before)}":${digits},"y":12345}`
    t.ok(hasUnsafeInteger(around('9007199254740993')), `behind ${before} characters`)
    t.notOk(hasUnsafeInteger(around('900719925474099')), `behind ${before} characters`)
  }
})
