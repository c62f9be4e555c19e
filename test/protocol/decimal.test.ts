import fc from 'fast-check'
import t from 'tap'
import { compareDecimals, isDecimal } from '../../lib/protocol/decimal.ts'

t.test('which texts are decimal numbers', async (t) => {
  for (const text of ['0', '-0', '+1', '007', '1.50', '-1.5', '9'.repeat(19), `0.${'1'.repeat(19)}`])
    t.ok(isDecimal(text))
  const wrong = ['', '.', '1.', '.5', '1e3', ' 1', '1 ', '1,5', 'NaN', '--1', '0x1', '١', '9'.repeat(20), '1\n']
  for (const text of wrong) t.notOk(isDecimal(text), JSON.stringify(text))
})

t.test('numbers are compared by their values, exactly', async (t) => {
  const ascending = [
    '-100',
    '-20.5',
    '-20.05',
    '-1',
    '0',
    '0.001',
    '0.1',
    '1',
    '1.1',
    '9',
    '10',
    '9007199254740992.1',
    '9007199254740992.2'
  ]
  for (const [at, left] of ascending.entries()) {
    for (const [against, right] of ascending.entries()) {
      t.equal(Math.sign(compareDecimals(left, right)), Math.sign(at - against), `${left} ${right}`)
    }
  }
  for (const [left, right] of [
    ['0', '-0'],
    ['-0.0', '+0'],
    ['1', '1.00'],
    ['+007.50', '7.5'],
    ['-1.0', '-1']
  ] as const) {
    t.equal(compareDecimals(left, right) + 0, 0, `${left} ${right}`)
  }
})

t.test('as whole numbers of any size are compared', async () => {
  const digits = fc.bigInt({ min: -(10n ** 19n) + 1n, max: 10n ** 19n - 1n })
  const near = fc.tuple(digits, fc.bigInt({ min: -2n, max: 2n })).map(([one, by]) => [one, one + by] as const)
  const inBounds = ([, other]: readonly [bigint, bigint]) => isDecimal(`${other}`)
  fc.assert(
    fc.property(fc.oneof(fc.tuple(digits, digits), near).filter(inBounds), ([left, right]) => {
      const expected = left < right ? -1 : left > right ? 1 : 0
      return Math.sign(compareDecimals(`${left}`, `${right}`)) === expected
    }),
    { numRuns: 2_000 }
  )
})
