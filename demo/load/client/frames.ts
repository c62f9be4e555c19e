/** Opcodes of RFC 6455, section 5.2. */
export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

const FIN = 0x80
const MASKED = 0x80
const CONTROL = 0x08
const LENGTH_16 = 126
const LENGTH_64 = 127
const MASK_BYTES = 4
// Our servers send nothing larger.
const MAX_MESSAGE = 64 * 1024 * 1024

/** One frame of a client. The mask is a real one: with zeros servers would skip the work that other clients make. */
export function clientFrame(opcode: number, payload: string | Uint8Array): Buffer {
  const length = typeof payload === 'string' ? Buffer.byteLength(payload) : payload.length
  const header = length < LENGTH_16 ? 2 : length < 65_536 ? 4 : 10
  const frame = Buffer.allocUnsafe(header + MASK_BYTES + length)
  frame[0] = FIN | opcode
  if (header === 2) {
    frame[1] = MASKED | length
  } else if (header === 4) {
    frame[1] = MASKED | LENGTH_16
    frame.writeUInt16BE(length, 2)
  } else {
    frame[1] = MASKED | LENGTH_64
    frame.writeBigUInt64BE(BigInt(length), 2)
  }
  const mask = (Math.random() * 0x1_0000_0000) >>> 0
  frame.writeUInt32BE(mask, header)
  const start = header + MASK_BYTES
  if (typeof payload === 'string') frame.write(payload, start)
  else frame.set(payload, start)
  for (let at = 0; at < length; at++) {
    frame[start + at] = (frame[start + at] as number) ^ (frame[header + (at & 3)] as number)
  }
  return frame
}

/** The server violated the protocol. */
export class FrameError extends Error {
  override readonly name = 'FrameError'
}

/** Called with each whole message and each control frame. The bytes are valid during the call only. */
export type MessageHandler = (opcode: number, payload: Buffer) => void

/** Parses a server's frames: any chunks, unmasked, fragments joined. Throws a FrameError. */
export class FrameReader {
  readonly #onMessage: MessageHandler
  /** The start of a frame whose end has not arrived. */
  #rest: Buffer | undefined
  #fragments: Buffer[] = []
  #opcode = 0

  constructor(onMessage: MessageHandler) {
    this.#onMessage = onMessage
  }

  feed(chunk: Buffer): void {
    const bytes = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk])
    this.#rest = undefined
    let at = 0
    while (at < bytes.length) {
      const end = this.#readFrame(bytes, at)
      if (end === undefined) {
        // A copy, since the next read overwrites the chunk.
        this.#rest = Buffer.from(bytes.subarray(at))
        return
      }
      at = end
    }
  }

  /** Returns the end of the frame; undefined if it is not complete. */
  #readFrame(bytes: Buffer, at: number): number | undefined {
    const available = bytes.length - at
    if (available < 2) return undefined
    const second = bytes[at + 1] as number
    if ((second & MASKED) !== 0) throw new FrameError('masked frame')
    const header = second < LENGTH_16 ? 2 : second === LENGTH_16 ? 4 : 10
    if (available < header) return undefined
    const length = header === 2 ? second : header === 4 ? bytes.readUInt16BE(at + 2) : readLength(bytes, at + 2)
    if (length > MAX_MESSAGE) throw new FrameError('message too large')
    const end = at + header + length
    if (end > bytes.length) return undefined
    this.#take(bytes[at] as number, bytes.subarray(at + header, end))
    return end
  }

  #take(first: number, payload: Buffer): void {
    const opcode = first & 0x0f
    if ((first & 0x70) !== 0) throw new FrameError('extension that was not asked for')
    if ((opcode & CONTROL) !== 0) {
      this.#onMessage(opcode, payload)
      return
    }
    const isLast = (first & FIN) !== 0
    if (isLast && opcode !== OPCODE.continuation) {
      this.#onMessage(opcode, payload)
      return
    }
    if (opcode !== OPCODE.continuation) this.#opcode = opcode
    this.#fragments.push(Buffer.from(payload))
    if (!isLast) return
    const message = Buffer.concat(this.#fragments)
    this.#fragments = []
    this.#onMessage(this.#opcode, message)
  }
}

function readLength(bytes: Buffer, at: number): number {
  return Number(bytes.readBigUInt64BE(at))
}
