import fc from 'fast-check'
import t from 'tap'
import type { Publication } from '../../../lib/broker/broker.ts'
import {
  MAX_MESSAGE_BYTES,
  REMOVAL,
  readEnvelope,
  writePresence,
  writePublication
} from '../../../lib/broker/redis/envelope.ts'

const KINDS = ['join', 'leave'] as const
const bytes = (text: string) => Buffer.from(text)
const json = fc.json({ noUnicodeString: false }).map(bytes)
const link = { at: 1_700, previous: 1_600 }
/** As publish.lua writes it. */
const positioned = ({ offset, epoch, time, data, info }: Publication) => {
  const position = offset > 0 ? `${offset}-${link.at}-${link.previous}` : offset
  return Buffer.concat([
    bytes(`1p${position},${epoch},${time}${info ? `,i${info.length}` : ''}:`),
    info ?? bytes(''),
    data
  ])
}
const read = (publication: Publication) => ({
  kind: 'publication',
  publication,
  link: publication.offset > 0 ? link : undefined
})

t.test('a publication', async (t) => {
  const none = { offset: 0, epoch: '', time: 1700, data: bytes('{"a":[",:"]}'), info: undefined }
  t.strictSame(readEnvelope(writePublication(none.data, 1700)), read(none))
  const some = { ...none, info: bytes('{",:":0}') }
  t.strictSame(readEnvelope(writePublication(some.data, 1700, some)), read(some))
  const last = {
    offset: Number.MAX_SAFE_INTEGER,
    epoch: 'x'.repeat(64),
    time: 8_640_000_000_000_000,
    data: bytes('null'),
    info: bytes('{}')
  }
  t.strictSame(readEnvelope(positioned(last)), read(last))
})

t.test('a publication that is not for one connection', async (t) => {
  const publication = { offset: 0, epoch: '', time: 1700, data: bytes('[",x1:"]'), info: undefined }
  const except = 'c-1_Z'
  t.strictSame(readEnvelope(writePublication(publication.data, 1700, { except })), read({ ...publication, except }))
  const info = bytes('{}')
  t.strictSame(
    readEnvelope(writePublication(publication.data, 1700, { info, except })),
    read({ ...publication, info, except })
  )
  t.equal(
    readEnvelope(writePublication(publication.data, 1700, { info, except: 'x'.repeat(65) })),
    undefined,
    'no such connection'
  )
})

t.test('bytes have a version of their own', async (t) => {
  const data = Buffer.from([0xff, 0x0a, 0])
  const publication = { offset: 0, epoch: '', time: 1700, data, info: undefined }
  const message = writePublication(data, 1700, { binary: true })
  t.equal(message.toString('latin1', 0, 2), '2p')
  t.strictSame(readEnvelope(message), read({ ...publication, binary: true }))
  t.equal(readEnvelope(writePublication(data, 1700)), undefined, 'they are no JSON')
  t.strictSame(readEnvelope(bytes('2p7,e,1,i2:{}')), {
    kind: 'publication',
    publication: { offset: 7, epoch: 'e', time: 1, data: bytes(''), info: bytes('{}'), binary: true },
    link: undefined
  })
  t.equal(readEnvelope(bytes('2p7,e,1,i1:xdata')), undefined, 'the info is JSON')
  for (const other of ['3p0,,1:1', '2j:{}', '2l:{}', '2r:']) t.equal(readEnvelope(bytes(other)), undefined, other)
})

t.test('presence', async (t) => {
  for (const kind of KINDS) t.strictSame(readEnvelope(writePresence(kind, bytes('{}'))), { kind, info: bytes('{}') })
})

t.test('a position whose publication before is not named', async (t) => {
  const publication = { offset: 7, epoch: 'e', time: 1, data: bytes('[1]'), info: undefined }
  t.strictSame(readEnvelope(bytes('1p7,e,1:[1]')), { kind: 'publication', publication, link: undefined })
})

t.test('the removal of a history', async (t) => {
  t.strictSame(readEnvelope(bytes(REMOVAL)), { kind: 'removal' })
})

t.test('what is written is read', async () => {
  const time = fc.nat({ max: 8_640_000_000_000_000 })
  const info = fc.option(json, { nil: undefined })
  const position = fc.oneof(
    fc.constant({ offset: 0, epoch: '' }),
    fc.record({
      offset: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
      epoch: fc.stringMatching(/^[\w.-]{1,64}$/)
    })
  )
  fc.assert(
    fc.property(position, time, json, info, ({ offset, epoch }, time, data, info) => {
      const publication = { offset, epoch, time, data, info }
      const expected = read(publication)
      t.strictSame(readEnvelope(positioned(publication)), expected)
      if (offset === 0) t.strictSame(readEnvelope(writePublication(data, time, { info })), expected)
    })
  )
  fc.assert(
    fc.property(fc.constantFrom(...KINDS), json, (kind, info) => {
      t.strictSame(readEnvelope(writePresence(kind, info)), { kind, info })
    })
  )
})

t.test('a field that a newer node may add is skipped', async (t) => {
  const publication = { offset: 7, epoch: 'e', time: 1, data: bytes('[1]'), info: bytes('{"u":1}') }
  t.strictSame(readEnvelope(bytes('1p7-1700-1600,e,1,y4,i7,z0:more{"u":1}[1]')), read(publication))
  t.strictSame(readEnvelope(bytes('1r,y4:more')), { kind: 'removal' })
  t.strictSame(readEnvelope(bytes('1j,y4:more{}')), { kind: 'join', info: bytes('{}') })
})

t.test('tags are a field, beside the others', async (t) => {
  const data = bytes('[1]')
  const tags = new Map([
    ['ticker', 'BTC'],
    ['ä"\n', '']
  ])
  const publication = { offset: 0, epoch: '', time: 1, data }
  t.strictSame(readEnvelope(writePublication(data, 1, { tags })), read({ ...publication, info: undefined, tags }))
  const info = bytes('{}')
  const all = { ...publication, info, except: 'c1', tags }
  t.strictSame(readEnvelope(writePublication(data, 1, { info, except: 'c1', tags })), read(all))
  for (const text of ['', '1', '[]', '{"a":1}', '{"":"x"}', '{', `{"a":"${'x'.repeat(257)}"}`]) {
    t.equal(readEnvelope(bytes(`1p0,,1,t${text.length}:${text}[1]`)), undefined, text)
  }
})

t.test('case 128: what is malformed, or of another version or kind, is nothing', async (t) => {
  const fields = (count: number) => Array.from('abcdefghjklmnopqrs'.slice(0, count), (letter) => `,${letter}0`).join('')
  t.ok(readEnvelope(bytes(`1p1,e,1${fields(16)}:1`)))
  for (const message of [
    '',
    'x',
    'ping',
    'p',
    'p,,,,',
    'p0,,x,0,{}',
    'p1,e,1,0,{}',
    'j{}',
    '1',
    '1p',
    '1p:1',
    '1p,,:1',
    '1x:{}',
    '3p1,e,1:1',
    '11p1,e,1:1',
    // Numbers that are none.
    '1px,e,1:1',
    '1p-1,e,1:1',
    '1p1.5,e,1:1',
    '1p1e3,e,1:1',
    '1p01,e,1:1',
    '1p9007199254740992,e,1:1',
    '1p1,e,x:1',
    '1p1,e,NaN:1',
    '1p1,e,:1',
    '1p1,e,8640000000000001:1',
    '1p1,e,99999999999999999:1',
    '1p1-1,e,1:1',
    '1p1-1-,e,1:1',
    '1p1-x-1,e,1:1',
    '1p0-1-1,,1:1',
    // A position is an offset and an epoch, or neither.
    '1p0,e,1:1',
    '1p1,,1:1',
    `1p1,${'x'.repeat(65)},1:1`,
    '1p1,é,1:1',
    '1p1,a"b,1:1',
    // Fields.
    '1p1,e,1,:1',
    '1p1,e,1,i:1',
    '1p1,e,1,i-1:11',
    '1p1,e,1,i01:11',
    '1p1,e,1,I1:11',
    '1p1,e,1,i2:1',
    '1p1,e,1,i123456789:1',
    '1p1,e,1,i1,i1:111',
    `1p1,e,1${fields(17)}:1`,
    '1j,t9:{}',
    // Payloads: none, and what can't be one JSON text in a line.
    '1p1,e,1:',
    '1p1,e,1,i1:1',
    '1p1,e,1,i1:x1',
    '1p1,e,1,i0:1',
    '1p1,e,1:hello',
    '1p1,e,1:{',
    '1p1,e,1:{"a":"b"',
    '1p1,e,1:"a]',
    '1p1,e,1:-',
    '1p1,e,1:t1',
    '1p1,e,1:x',
    '1p1,e,1: 1',
    '1p1,e,1:{\n}',
    '1j:',
    '1l:nobody',
    '1r',
    '1r:{}'
  ]) {
    t.equal(readEnvelope(bytes(message)), undefined, JSON.stringify(message))
  }
  t.equal(readEnvelope(Buffer.concat([bytes('1p1,e,1:"'), Buffer.from([0xff, 0x22])])), undefined, 'not UTF-8')
})

t.test('case 128: a message that is too large is nothing', async (t) => {
  const head = '1p1,e,1:"'
  const filled = (length: number) => bytes(`${head.padEnd(length - 1, 'x')}"`)
  t.ok(readEnvelope(filled(MAX_MESSAGE_BYTES)))
  t.equal(readEnvelope(filled(MAX_MESSAGE_BYTES + 1)), undefined)
})

t.test('case 128: any bytes are read or dropped, and what is read can be passed on', async () => {
  const garbled = fc
    .tuple(
      fc.oneof(
        json,
        fc.constant(bytes('1p7-1700-1600,e,1700000000000,y4,i7:more{"u":1}[1]')),
        fc.constant(bytes('1j:{}'))
      ),
      fc.array(fc.tuple(fc.nat(60), fc.nat(255)), { maxLength: 4 }),
      fc.nat(60)
    )
    .map(([message, changes, cut]) => {
      const bytes = Buffer.from(message.subarray(0, message.length - (cut % 3)))
      for (const [at, byte] of changes) if (at < bytes.length) bytes[at] = byte
      return bytes
    })
  const random = fc.uint8Array({ maxLength: 400 }).map((array) => Buffer.from(array))
  fc.assert(
    fc.property(fc.oneof(random, garbled), (message) => {
      const envelope = readEnvelope(message)
      if (envelope === undefined) return
      if (envelope.kind === 'removal') return
      const texts =
        envelope.kind === 'publication' ? [envelope.publication.data, envelope.publication.info] : [envelope.info]
      for (const text of texts) t.notOk(text?.includes('\n'))
      if (envelope.kind !== 'publication') return
      const { offset, epoch, time } = envelope.publication
      t.ok(Number.isSafeInteger(offset) && offset >= 0 && (offset === 0) === (epoch === ''))
      t.ok(Number.isSafeInteger(time) && !Number.isNaN(new Date(time as number).getTime()))
    }),
    { numRuns: 5_000 }
  )
})
