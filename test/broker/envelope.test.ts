import t from 'tap'
import { readEnvelope, writePresence, writePublication } from '../../lib/broker/envelope.ts'

t.test('a publication', async (t) => {
  const data = Buffer.from([0, 44, 255, 123, 10])
  const none = { kind: 'publication', publication: { offset: 0, epoch: '', time: 1700, data, info: undefined } }
  t.strictSame(readEnvelope(writePublication(data, 1700)), none)
  const info = Buffer.from(',{,')
  const some = { kind: 'publication', publication: { offset: 0, epoch: '', time: 1700, data, info } }
  t.strictSame(readEnvelope(writePublication(data, 1700, info)), some)
  t.strictSame(readEnvelope(Buffer.from('p9007199254740991,eP-_1,1700000000000,2,{}[]')), {
    kind: 'publication',
    publication: {
      offset: 9_007_199_254_740_991,
      epoch: 'eP-_1',
      time: 1_700_000_000_000,
      data: Buffer.from('[]'),
      info: Buffer.from('{}')
    }
  })
})

t.test('presence', async (t) => {
  for (const kind of ['join', 'leave'] as const) {
    t.strictSame(readEnvelope(writePresence(kind, Buffer.from('{}'))), { kind, info: Buffer.from('{}') })
  }
})

t.test('what it doesn’t know', async (t) => {
  t.equal(readEnvelope(Buffer.from('x')), undefined)
  t.equal(readEnvelope(Buffer.alloc(0)), undefined)
})
