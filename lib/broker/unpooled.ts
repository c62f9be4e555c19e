/**
 * A buffer with its own memory, to be kept. A small buffer is a slice of Node's pool, and a buffer that was read from a
 * connection is a slice of all that was read at once: it would keep the whole in memory.
 */
export function unpooled(data: Buffer): Buffer {
  if (data.length === data.buffer.byteLength) return data
  const copy = Buffer.allocUnsafeSlow(data.length)
  data.copy(copy)
  return copy
}
