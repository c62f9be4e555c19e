import fc from 'fast-check'
import t from 'tap'
import { clientFrame, FrameError, FrameReader, OPCODE } from '../../../../demo/load/client/frames.ts'
import { type FrameSpec, frame, opcodes, parseFrame } from '../../../support/raw-frames.ts'

/** Feeds bytes in chunks of these sizes in turn; gives what the reader found. */
function read(bytes: Buffer, sizes: readonly number[] = [bytes.length]): [opcode: number, text: string][] {
  const found: [number, string][] = []
  const reader = new FrameReader((opcode, payload) => found.push([opcode, payload.toString()]))
  const shared = Buffer.alloc(Math.max(1, ...sizes))
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = Math.min(sizes[turn % sizes.length] as number, bytes.length - at)
    // Every chunk overwrites the one before, as it does where all are read into the same bytes.
    shared.fill(0xff)
    bytes.copy(shared, 0, at, at + size)
    reader.feed(shared.subarray(0, size))
    at += size
  }
  return found
}

const server = (spec: FrameSpec) => frame({ mask: false, ...spec })

t.test('frames come out whole, however they were cut', async () => {
  const lengths = fc.oneof(fc.integer({ min: 0, max: 130 }), fc.constantFrom(65_535, 65_536, 70_000))
  fc.assert(
    fc.property(
      fc.array(lengths, { minLength: 1, maxLength: 5 }),
      fc.array(fc.integer({ min: 1, max: 40_000 }), { minLength: 1, maxLength: 5 }),
      (sizes, cuts) => {
        const texts = sizes.map((size, at) => String.fromCharCode(97 + at).repeat(size))
        const bytes = Buffer.concat(texts.map((payload) => server({ payload })))
        return JSON.stringify(read(bytes, cuts)) === JSON.stringify(texts.map((text) => [OPCODE.text, text]))
      }
    ),
    { numRuns: 50 }
  )
})

t.test('fragments are joined, with a ping between them', async (t) => {
  const bytes = Buffer.concat([
    server({ fin: false, payload: 'to' }),
    server({ opcode: opcodes.ping, payload: '?' }),
    server({ fin: false, opcode: opcodes.continuation, payload: 'get' }),
    server({ opcode: opcodes.continuation, payload: 'her' }),
    server({ opcode: opcodes.binary, payload: 'bytes' })
  ])
  const expected = [
    [OPCODE.ping, '?'],
    [OPCODE.text, 'together'],
    [OPCODE.binary, 'bytes']
  ]
  t.same(read(bytes), expected)
  t.same(read(bytes, [1]), expected)
})

t.test('what is not the protocol is said to be', async (t) => {
  t.throws(() => read(frame({ payload: 'a' })), FrameError)
  t.throws(() => read(server({ payload: 'a', rsv: 4 })), FrameError)
  t.throws(() => read(server({ announcedLength: 2 ** 40, payload: 'a' })), FrameError)
})

t.test('a client’s frame says what it was given, masked', async (t) => {
  for (const payload of ['', 'a', 'ä'.repeat(60), 'x'.repeat(126), 'x'.repeat(65_535), 'x'.repeat(65_536)]) {
    const parsed = parseFrame(clientFrame(OPCODE.text, payload))
    t.match(parsed?.frame, { fin: true, rsv: 0, opcode: OPCODE.text, masked: true, text: payload })
    t.equal(parsed?.rest.length, 0)
  }
  t.same(parseFrame(clientFrame(OPCODE.pong, Buffer.from([0, 255, 7])))?.frame.payload, Buffer.from([0, 255, 7]))
})
