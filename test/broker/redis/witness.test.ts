import t from 'tap'
import { NOTHING, RedisWitness } from '../../../lib/broker/redis/witness.ts'

const at = (offset: number) => 1_000 + offset
const link = (offset: number) => ({ at: at(offset), previous: offset === 1 ? 0 : at(offset - 1) })
const mark = (epoch: string, offset: number) => ({ epoch, offset, at: offset === 0 ? 0 : at(offset) })

/** One that has seen the publications up to an offset, of the epoch `e`. */
function witnessAt(offset: number): RedisWitness {
  const witness = new RedisWitness()
  witness.positionRead(NOTHING, mark('e', 0), false)
  for (let each = 1; each <= offset; each++) witness.observe({ epoch: 'e', offset: each }, link(each))
  return witness
}

t.test('the next publication is delivered, and so is one that is received again', async (t) => {
  const witness = witnessAt(5)
  t.strictSame(witness.mark, mark('e', 5))
  for (const offset of [5, 3, 1, 6, 6, 2]) t.equal(witness.observe({ epoch: 'e', offset }, link(offset)), 'deliver')
  t.strictSame(witness.mark, mark('e', 6))
})

t.test('case 148: a publication that contradicts what was seen requests an audit', async (t) => {
  for (const [why, offset, changed] of [
    ['the same offset, taken at another time', 5, { at: 9_000, previous: at(4) }],
    ['a lower offset, taken later', 4, { at: 9_000, previous: at(3) }],
    ['the next offset, after another publication', 6, { at: 9_000, previous: 8_000 }]
  ] as const) {
    const witness = witnessAt(5)
    t.equal(witness.observe({ epoch: 'e', offset }, changed), 'audit', why)
    t.strictSame(witness.mark, { epoch: 'e', offset: Number.MAX_SAFE_INTEGER, at: at(5) }, 'the epoch is to end')
    t.equal(witness.observe({ epoch: 'e', offset: 6 }, link(6)), 'drop', 'nothing more of the epoch is delivered')
    witness.readEnded()
    t.equal(witness.observe({ epoch: 'e', offset: 7 }, link(7)), 'audit', 'again, if the first changed nothing')
    t.equal(witness.observe({ epoch: 'f', offset: 8 }, { at: 9_100, previous: 9_000 }), 'deliver')
    t.strictSame(witness.mark, { epoch: 'f', offset: 8, at: 9_100 })
  }
})

t.test('past a gap nothing is known until history was looked at', async (t) => {
  const witness = witnessAt(5)
  t.equal(witness.observe({ epoch: 'e', offset: 9 }, { at: 9_000, previous: 8_000 }), 'deliver')
  t.strictSame(witness.mark, mark('e', 5))
  witness.positionRead(witness.mark, { epoch: 'e', offset: 9, at: 9_000 }, false)
  t.strictSame(witness.mark, mark('e', 5), 'a position alone says nothing of what lies between')
  witness.positionRead(witness.mark, { epoch: 'e', offset: 9, at: 9_000 }, true)
  t.strictSame(witness.mark, { epoch: 'e', offset: 9, at: 9_000 })
  witness.positionRead(mark('e', 5), { epoch: 'e', offset: 7, at: 8_500 }, true)
  t.strictSame(witness.mark, { epoch: 'e', offset: 9, at: 9_000 }, 'an answer that is out of date')
})

t.test('an answer that a newer epoch has overtaken changes nothing', async (t) => {
  const witness = witnessAt(5)
  const asked = witness.mark
  witness.observe({ epoch: 'f', offset: 6 }, { at: 9_000, previous: 0 })
  witness.positionRead(asked, { epoch: 'g', offset: 1, at: 8_000 }, true)
  t.equal(witness.mark.epoch, 'f')
})

t.test('what an epoch still brings after its end is not passed on', async (t) => {
  const witness = witnessAt(5)
  witness.positionRead(witness.mark, { epoch: 'f', offset: 6, at: 9_000 }, false)
  t.equal(witness.observe({ epoch: 'e', offset: 6 }, link(6)), 'drop')
  t.strictSame(witness.mark, { epoch: 'f', offset: 6, at: 9_000 })
  t.equal(witness.observe({ epoch: 'f', offset: 7 }, { at: 9_100, previous: 9_000 }), 'deliver')
})
