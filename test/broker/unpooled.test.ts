import t from 'tap'
import { unpooled } from '../../lib/broker/unpooled.ts'

t.test('a buffer with its own memory is kept as it is, a slice is copied', async (t) => {
  const own = Buffer.allocUnsafeSlow(10)
  t.equal(unpooled(own), own)
  const slice = Buffer.from('a chunk of a connection').subarray(2, 7)
  const copy = unpooled(slice)
  t.equal(copy.toString(), 'chunk')
  t.equal(copy.buffer.byteLength, 5)
})
