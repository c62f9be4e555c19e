import t from 'tap'
import { framePayloads } from '../../lib/protocol/frame.ts'
import { frameOf, sizeOf } from '../../lib/socket/payload.ts'

const read = (frame: Buffer | undefined) =>
  frame && Array.from(framePayloads(frame), ({ payload, binary }) => [payload.toString(), binary])

t.test('what is small, whole and at hand becomes a frame', async (t) => {
  t.same(read(frameOf('text', undefined)), [['text', false]])
  t.same(read(frameOf(Buffer.from('bytes'), null)), [['bytes', true]])
  t.same(read(frameOf(new Uint8Array([0x61]), { binary: false })), [['a', false]])
})

t.test('what is large, a part, or anything else is left to ws', async (t) => {
  t.equal(frameOf('x'.repeat(16_385), undefined), undefined)
  t.equal(frameOf(Buffer.alloc(16_385), undefined), undefined)
  t.equal(frameOf('text', { fin: false }), undefined)
  t.equal(frameOf('text', { binary: true }), undefined)
  t.equal(frameOf(new ArrayBuffer(4), undefined), undefined)
  t.equal(frameOf(new Blob(['text']), undefined), undefined)
})

t.test('the bytes of whatever ws takes or gives', async (t) => {
  const sizes: [unknown, number][] = [
    ['ü', 2],
    [Buffer.from('abc'), 3],
    [new ArrayBuffer(4), 4],
    [[Buffer.from('ab'), Buffer.from('c')], 3],
    [new Blob(['abcde']), 5],
    [null, 0],
    [7, 0]
  ]
  for (const [data, size] of sizes) t.equal(sizeOf(data), size)
})
