import t from 'tap'
import {
  dataFrame,
  framePayloads,
  headerLength,
  pingFrame,
  textFrame,
  wrappedTextFrame
} from '../../lib/protocol/frame.ts'
import { frame } from '../support/raw-frames.ts'

const LENGTHS = [0, 1, 125, 126, 127, 65_535, 65_536, 70_000]
const unmasked = (payload: string | Uint8Array, opcode = 1) => frame({ payload, opcode, mask: false })

t.test('frames have the shortest header for their length (RFC 6455 section 5.2)', async (t) => {
  for (const length of LENGTHS) {
    const text = 'x'.repeat(length)
    const bytes = Buffer.alloc(length, 7)
    t.ok(textFrame(text).equals(unmasked(text)), `text of ${length} bytes`)
    t.ok(dataFrame(bytes, true).equals(unmasked(bytes, 2)), `${length} bytes`)
    t.ok(dataFrame(bytes, false).equals(unmasked(bytes, 1)), `${length} bytes as text`)
    t.equal(textFrame(text).length, headerLength(length) + length)
  }
})

t.test('a ping', async (t) => {
  for (const length of [0, 8, 125])
    t.ok(pingFrame(Buffer.alloc(length, 7)).equals(unmasked(Buffer.alloc(length, 7), 9)))
})

t.test('a length is counted in bytes, not in characters', async (t) => {
  const text = '€'.repeat(42)
  t.ok(textFrame(text).equals(unmasked(text)))
  t.equal(textFrame('\ud83d').toString('utf8', 2), '\ufffd', 'a lone surrogate leaves as U+FFFD, which is valid UTF-8')
})

t.test('a frame around data is one around the whole text', async (t) => {
  for (const length of LENGTHS) {
    const data = Buffer.alloc(length, 'd')
    const wrapped = wrappedTextFrame('{"channel":"é","data":', data, ',"epoch":"è"}')
    t.ok(wrapped.equals(unmasked(`{"channel":"é","data":${data},"epoch":"è"}`)), `${length} bytes`)
  }
})

t.test('what was written can be taken apart again', async (t) => {
  const payloads = LENGTHS.map((length) => Buffer.alloc(length, length % 251))
  const chunk = Buffer.concat(payloads.map((payload, index) => dataFrame(payload, index % 2 === 0)))
  const read = [...framePayloads(chunk)]
  t.equal(read.length, payloads.length)
  for (const [index, { payload, binary }] of read.entries()) {
    t.ok(payload.equals(payloads[index] as Buffer))
    t.equal(binary, index % 2 === 0)
  }
  t.same([...framePayloads(Buffer.alloc(0))], [])
})
