/**
 * Counts the messages in what a server sends on one connection. It reads the headers of frames only and skips the
 * payloads, so that counting never limits a measurement. Frames are unmasked and small.
 */
export class FrameCounter {
  /** Bytes of the current frame's payload that have not arrived yet. */
  #missing = 0
  /** 1 if the current frame is a message, 0 for a control frame. */
  #current = 0
  readonly #asked: (question: Question) => void
  /** The start of a header that was cut in two. */
  #cut: Uint8Array | undefined

  /** @param asked Called for each frame that the client must answer. */
  constructor(asked: (question: Question) => void = () => {}) {
    this.#asked = asked
  }

  /** Takes the bytes from `at` to `end`. Returns the number of messages that they complete. */
  feed(bytes: Uint8Array, at: number, end: number): number {
    if (this.#cut !== undefined) return this.#feedJoined(bytes.subarray(at, end), this.#cut)
    if (this.#missing > end - at) {
      this.#missing -= end - at
      return 0
    }
    let count = 0
    if (this.#missing > 0) {
      at += this.#missing
      this.#missing = 0
      count = this.#current
    }
    while (at < end) {
      const short = end - at < 2 ? 0 : (bytes[at + 1] as number)
      const header = short < 126 ? 2 : 4
      if (end - at < header) {
        this.#cut = bytes.slice(at, end)
        return count
      }
      if (short > 126) throw new Error('A frame that this generator does not count: masked, or of 64 KiB and more')
      const length = short < 126 ? short : ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number)
      const question = questionOf((bytes[at] as number) & 0x0f, length)
      if (question !== undefined) this.#asked(question)
      const isMessage = question === undefined ? 1 : 0
      at += header + length
      if (at > end) {
        this.#missing = at - end
        this.#current = isMessage
        return count
      }
      count += isMessage
    }
    return count
  }

  #feedJoined(bytes: Uint8Array, cut: Uint8Array): number {
    this.#cut = undefined
    const joined = Buffer.concat([cut, bytes])
    return this.feed(joined, 0, joined.length)
  }
}

/** A frame that is no message, named after its answer. */
export type Question = 'any frame' | 'close' | '{}' | '3' | 'no bytes' | 'nothing'

const BINARY = 2

/**
 * Undefined for a message. The pings of the channel protocol, in JSON and in Protobuf, and of socket.io are recognised by
 * their length.
 */
function questionOf(opcode: number, length: number): Question | undefined {
  if (opcode > BINARY) return opcode === 9 ? 'any frame' : opcode === 8 ? 'close' : 'nothing'
  if (opcode === BINARY) return length === 1 ? 'no bytes' : undefined
  if (length === 2) return '{}'
  return length === 1 ? '3' : undefined
}

const FIN_TEXT = 0x81
const FIN_BINARY = 0x82
const MASK = Buffer.from([0x37, 0xfa, 0x21, 0x3d])

/** An empty ping of the client. */
export const CLIENT_PING = Buffer.from([0x89, 0x80, ...MASK])
/** A message of no bytes, after its length: the answer to a ping in Protobuf. */
export const CLIENT_PONG = masked(FIN_BINARY, Buffer.from([0]))
/** The answer to a close frame. */
export const CLIENT_CLOSE = Buffer.from([0x88, 0x80, ...MASK])

/** One masked text frame, as clients send them. */
export function clientFrame(text: string): Buffer {
  return masked(FIN_TEXT, Buffer.from(text))
}

/** One masked binary frame. */
export function clientBytes(payload: Buffer): Buffer {
  return masked(FIN_BINARY, Buffer.from(payload))
}

function masked(first: number, payload: Buffer): Buffer {
  for (let i = 0; i < payload.length; i++) payload[i] = (payload[i] as number) ^ (MASK[i % 4] as number)
  const length = payload.length
  const header = length < 126 ? [first, 0x80 | length] : [first, 0x80 | 126, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from(header), MASK, payload])
}
