import t from 'tap'
import { parsePositions } from '../../lib/protocol/positions.ts'

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

t.test('positions by channel', async (t) => {
  t.same(parsePositions(encode({})), new Map())
  t.same(
    parsePositions(encode({ 'rooms/é': [3, 'e'], b: [0, ''] })),
    new Map([
      ['rooms/é', { offset: 3, epoch: 'e' }],
      ['b', { offset: 0, epoch: '' }]
    ])
  )
})

t.test('anything else is no positions', async (t) => {
  const wrong = [
    null,
    1,
    [],
    { a: 1 },
    { a: {} },
    { a: ['1', 'e'] },
    { a: [-1, 'e'] },
    { a: [1.5, 'e'] },
    { a: [2 ** 60, 'e'] },
    { a: [1] },
    { a: [1, 2] },
    { a: [1, 'e'.repeat(65)] }
  ]
  for (const value of wrong) t.equal(parsePositions(encode(value)), undefined, JSON.stringify(value))
  for (const text of [null, '', 'epoch:7', 'e', 'abcde', '%7B%7D', 'x'.repeat(16_385)]) {
    t.equal(parsePositions(text), undefined, String(text).slice(0, 20))
  }
})
