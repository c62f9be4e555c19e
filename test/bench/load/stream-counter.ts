/** How the messages of a response are told apart: a line each, an event each, or the length of each before it. */
export type StreamForm = 'lines' | 'events' | 'lengths'

const CARRIAGE_RETURN = 0x0d
const LINE_FEED = 0x0a

/**
 * Counts the messages in a chunked response (RFC 9112, section 7.1). The texts have neither line feeds nor carriage
 * returns in them, so a line feed without a carriage return before it ends a line of the stream.
 */
export class StreamCounter {
  readonly #form: StreamForm
  /** The byte before the first of the next read. */
  #last = 0
  /** Line feeds of an event that has not ended. */
  #feeds = 0
  /** Bytes of the current chunk that have not arrived, and of the message in it. */
  #chunk = 0
  #message = 0
  /** The head of a chunk so far; the length of a message so far, and how many bits it has. */
  #head = ''
  #length = 0
  #bits = 0

  constructor(form: StreamForm) {
    this.#form = form
  }

  /** Takes the bytes from `at` to `end`. Returns the number of messages that they complete. */
  feed(bytes: Uint8Array, at: number, end: number): number {
    if (this.#form === 'lengths') return this.#feedChunks(bytes, at, end)
    const feeds = this.#countFeeds(bytes, at, end) + this.#feeds
    if (this.#form === 'lines') return feeds
    // An event ends with an empty line.
    this.#feeds = feeds % 2
    return Math.trunc(feeds / 2)
  }

  #countFeeds(bytes: Uint8Array, at: number, end: number): number {
    const read = bytes.subarray(at, end)
    let count = 0
    for (let found = read.indexOf(LINE_FEED); found >= 0; found = read.indexOf(LINE_FEED, found + 1)) {
      if ((found === 0 ? this.#last : read[found - 1]) !== CARRIAGE_RETURN) count++
    }
    this.#last = read.at(-1) as number
    return count
  }

  #feedChunks(bytes: Uint8Array, at: number, end: number): number {
    let count = 0
    while (at < end) {
      if (this.#chunk === 0) {
        at = this.#readChunkHead(bytes, at)
        continue
      }
      if (this.#message === 0) {
        count += this.#readLength(bytes[at++] as number)
        this.#chunk--
        continue
      }
      const taken = Math.min(this.#message, this.#chunk, end - at)
      at += taken
      this.#chunk -= taken
      this.#message -= taken
      if (this.#message === 0) count++
    }
    return count
  }

  /** Reads one byte of it: the end of the chunk before, the size, and the end of its line. */
  #readChunkHead(bytes: Uint8Array, at: number): number {
    const byte = bytes[at] as number
    if (byte === LINE_FEED && this.#head !== '') {
      this.#chunk = Number.parseInt(this.#head, 16)
      this.#head = ''
    } else if (byte !== LINE_FEED && byte !== CARRIAGE_RETURN) this.#head += String.fromCharCode(byte)
    return at + 1
  }

  /** Returns 1 if that was an empty message: a ping. */
  #readLength(byte: number): number {
    this.#length |= (byte & 0x7f) << this.#bits
    this.#bits += 7
    if (byte > 0x7f) return 0
    this.#message = this.#length
    this.#length = 0
    this.#bits = 0
    return this.#message === 0 ? 1 : 0
  }
}
