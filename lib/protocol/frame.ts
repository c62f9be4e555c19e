/**
 * The bytes of the unmasked, unfragmented frames that a server sends (RFC 6455 section 5.2). A frame is built once, and
 * the same bytes are written to every socket.
 */

const FIN_TEXT = 0x81
const FIN_BINARY = 0x82
const FIN_PING = 0x89

/** Length of the header of a server's frame with this many payload bytes. */
export function headerLength(payloadLength: number): number {
  return payloadLength < 126 ? 2 : payloadLength < 0x10000 ? 4 : 10
}

function writeHeader(frame: Buffer, first: number, payloadLength: number): number {
  frame[0] = first
  if (payloadLength < 126) {
    frame[1] = payloadLength
    return 2
  }
  if (payloadLength < 0x10000) {
    frame[1] = 126
    frame.writeUInt16BE(payloadLength, 2)
    return 4
  }
  frame[1] = 127
  frame.writeUIntBE(0, 2, 2)
  frame.writeUIntBE(payloadLength, 4, 6)
  return 10
}

/** One text frame. */
export function textFrame(text: string): Buffer {
  const length = Buffer.byteLength(text)
  const frame = Buffer.allocUnsafe(headerLength(length) + length)
  frame.write(text, writeHeader(frame, FIN_TEXT, length))
  return frame
}

/** One text or binary frame that contains a copy of these bytes. */
export function dataFrame(payload: Uint8Array, binary: boolean): Buffer {
  const length = payload.byteLength
  const frame = Buffer.allocUnsafe(headerLength(length) + length)
  frame.set(payload, writeHeader(frame, binary ? FIN_BINARY : FIN_TEXT, length))
  return frame
}

/** One ping, with a payload of at most 125 bytes (RFC 6455 section 5.5.2). */
export function pingFrame(payload: Uint8Array): Buffer {
  return Buffer.from([FIN_PING, payload.byteLength, ...payload])
}

/** One text frame that contains `before` + `data` + `after`. Each of them is copied only once. */
export function wrappedTextFrame(before: string, data: Buffer, after: string): Buffer {
  const length = Buffer.byteLength(before) + data.length + Buffer.byteLength(after)
  const frame = Buffer.allocUnsafe(headerLength(length) + length)
  let at = writeHeader(frame, FIN_TEXT, length)
  at += frame.write(before, at)
  frame.set(data, at)
  frame.write(after, at + data.length)
  return frame
}

/** The payloads of the consecutive frames in `chunk`. This module must have made the frames. */
export function* framePayloads(chunk: Buffer): Generator<{ payload: Buffer; binary: boolean }> {
  for (let at = 0; at < chunk.length; ) {
    const short = (chunk[at + 1] as number) & 0x7f
    const length = short < 126 ? short : short === 126 ? chunk.readUInt16BE(at + 2) : chunk.readUIntBE(at + 4, 6)
    const start = at + headerLength(length)
    const binary = chunk[at] === FIN_BINARY
    at = start + length
    yield { payload: chunk.subarray(start, at), binary }
  }
}
