/*
 * WebSocket frames as bytes, right or wrong as a case needs them. Written apart from lib/protocol on purpose: a test that
 * builds its bytes with the code under test agrees with that code's mistakes.
 */

export interface FrameSpec {
  /** @default true */
  fin?: boolean
  /** Three bits: 4 is RSV1, 2 is RSV2, 1 is RSV3. @default 0 */
  rsv?: number
  /** @default 1, text */
  opcode?: number
  /** A client masks; false leaves the mask out, bytes are the key. @default a fixed key */
  mask?: boolean | Uint8Array
  /** @default empty */
  payload?: string | Uint8Array
  /** The length that the header claims, when it is not the payload's. */
  announcedLength?: number | bigint
  /** The form of the length: 7 bits, 16 or 64. @default the shortest */
  lengthForm?: 7 | 16 | 64
}

export interface Frame {
  fin: boolean
  rsv: number
  opcode: number
  masked: boolean
  payload: Buffer
  /** The payload as UTF-8. */
  text: string
}

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

const FIXED_KEY = Buffer.from([0x12, 0x34, 0x56, 0x78])

/** One client frame. */
export function frame(spec: FrameSpec = {}): Buffer {
  const payload = Buffer.from(spec.payload ?? '')
  const key = maskingKey(spec.mask ?? true)
  const first = ((spec.fin ?? true) ? 0x80 : 0) | ((spec.rsv ?? 0) << 4) | (spec.opcode ?? opcodes.text)
  const length = lengthBytes(BigInt(spec.announcedLength ?? payload.length), spec.lengthForm)
  if (key) length[0] = (length[0] as number) | 0x80
  const body = key ? payload.map((byte, index) => byte ^ (key[index % 4] as number)) : payload
  return Buffer.concat([Buffer.from([first]), length, key ?? Buffer.alloc(0), body])
}

/** A client's close frame. */
export function closingFrame(code?: number, reason = ''): Buffer {
  const payload = code === undefined ? Buffer.alloc(0) : Buffer.from([code >> 8, code & 0xff, ...Buffer.from(reason)])
  return frame({ opcode: opcodes.close, payload })
}

/** The first frame in `bytes` and what follows it; undefined while the frame is not complete. */
export function parseFrame(bytes: Buffer): { frame: Frame; rest: Buffer } | undefined {
  if (bytes.length < 2) return undefined
  const first = bytes.readUInt8(0)
  const second = bytes.readUInt8(1)
  const form = second & 0x7f
  let at = 2 + (form === 127 ? 8 : form === 126 ? 2 : 0)
  if (bytes.length < at) return undefined
  const length = form === 127 ? Number(bytes.readBigUInt64BE(2)) : form === 126 ? bytes.readUInt16BE(2) : form
  const masked = second >= 0x80
  const key = masked ? bytes.subarray(at, at + 4) : undefined
  if (masked) at += 4
  if (bytes.length < at + length) return undefined
  const body = bytes.subarray(at, at + length)
  const payload = key ? Buffer.from(body.map((byte, index) => byte ^ (key[index % 4] as number))) : body
  return {
    frame: {
      fin: first >= 0x80,
      rsv: (first >> 4) & 7,
      opcode: first & 0x0f,
      masked,
      payload,
      text: payload.toString()
    },
    rest: bytes.subarray(at + length)
  }
}

function maskingKey(mask: boolean | Uint8Array): Uint8Array | undefined {
  if (typeof mask !== 'boolean') return mask
  return mask ? FIXED_KEY : undefined
}

function lengthBytes(length: bigint, form: 7 | 16 | 64 = length < 126n ? 7 : length < 65_536n ? 16 : 64): Buffer {
  if (form === 7) return Buffer.from([Number(length)])
  const bytes = Buffer.alloc(form === 16 ? 3 : 9)
  bytes[0] = form === 16 ? 126 : 127
  if (form === 16) bytes.writeUInt16BE(Number(length), 1)
  else bytes.writeBigUInt64BE(length, 1)
  return bytes
}
