/*
 * Fossil deltas (https://fossil-scm.org/home/doc/trunk/www/delta_format.wiki), as clients of the channel protocol apply
 * them: the target's size, then commands that copy bytes of the source or insert bytes of the delta, then a checksum.
 *
 * This encoder differs from the original in three ways (decision 0066):
 * - The delta of two texts in UTF-8 is itself UTF-8, because over JSON it is a string. So a copy begins and ends between
 *   two characters.
 * - Its time grows with the size of the texts only. A client cannot publish data that keep the event loop busy.
 * - The same beginning and end of the texts are found first. Most publications differ in one place.
 */

// Bytes. A source is looked up in blocks of this size, so a copy in the middle has at least so many bytes.
const BLOCK = 16
// A shorter target cannot be much larger than its delta.
const MIN_TARGET = 32
// A copy needs up to 12 bytes. To copy less saves nothing.
const MIN_COPY = 12
const DIGITS = Buffer.from('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~')
const LINE_FEED = 0x0a
const COPY = 0x40 // @
const COPY_END = 0x2c // ,
const INSERT = 0x3a // :
const END = 0x3b // ;
const MULTIPLIER = 0x01000193

/**
 * The delta that makes `target` from `source`, both texts in UTF-8. Undefined if it would not be at least `margin` bytes
 * smaller than the target.
 */
export function fossilDelta(source: Buffer, target: Buffer, margin: number): Buffer | undefined {
  const limit = target.length - margin
  if (target.length < MIN_TARGET || limit <= 0) return undefined
  const writer = new DeltaWriter(target, limit)
  const start = commonStart(source, target)
  const end = target.length - commonEnd(source, target, start)
  writer.copy(0, 0, start)
  writeMiddle(writer, source, target, start, end)
  writer.copy(source.length - (target.length - end), end, target.length - end)
  return writer.finish()
}

/** Writes the commands of a delta, until they exceed a limit. */
class DeltaWriter {
  readonly #target: Buffer
  readonly #bytes: Buffer
  #length = 0
  /** The first byte of the target that no command covers. */
  #covered = 0
  #isTooLong = false

  constructor(target: Buffer, limit: number) {
    this.#target = target
    this.#bytes = Buffer.allocUnsafe(limit)
    this.#number(target.length, LINE_FEED)
  }

  /** Covers `length` bytes of the target, from `at` on, and inserts those before them that are not covered yet. */
  copy(from: number, at: number, length: number): void {
    let first = at
    let last = at + length
    while (first < last && isContinuation(this.#target, first)) first++
    while (first < last && isContinuation(this.#target, last)) last--
    if (last - first < MIN_COPY) return
    this.#insert(first)
    this.#number(last - first, COPY)
    this.#number(from + first - at, COPY_END)
    this.#covered = last
  }

  finish(): Buffer | undefined {
    this.#insert(this.#target.length)
    this.#number(checksum(this.#target), END)
    return this.#isTooLong ? undefined : Buffer.from(this.#bytes.subarray(0, this.#length))
  }

  get isTooLong(): boolean {
    return this.#isTooLong
  }

  #insert(end: number): void {
    const length = end - this.#covered
    if (length === 0) return
    this.#number(length, INSERT)
    if (this.#length + length > this.#bytes.length) this.#isTooLong = true
    if (this.#isTooLong) return
    this.#target.copy(this.#bytes, this.#length, this.#covered, end)
    this.#length += length
  }

  #number(value: number, terminator: number): void {
    let digits = 1
    for (let rest = value; rest >= 64; rest = Math.floor(rest / 64)) digits++
    if (this.#length + digits + 1 > this.#bytes.length) this.#isTooLong = true
    if (this.#isTooLong) return
    let rest = value
    for (let at = this.#length + digits - 1; at >= this.#length; at--) {
      this.#bytes[at] = DIGITS[rest % 64] as number
      rest = Math.floor(rest / 64)
    }
    this.#length += digits
    this.#bytes[this.#length++] = terminator
  }
}

/** Writes what lies between the same beginning and the same end: blocks of the source that occur there are copied. */
function writeMiddle(writer: DeltaWriter, source: Buffer, target: Buffer, start: number, end: number): void {
  if (end - start < BLOCK || source.length < BLOCK) return
  const blocks = indexBlocks(source)
  const mask = blocks.length - 1
  let covered = start
  let hash = 0
  for (let at = start; at + BLOCK <= end; ) {
    hash = at === covered ? hashBlock(target, at) : rollHash(hash, target, at)
    const found = (blocks[spread(hash) & mask] as number) - 1
    const before = found < 0 ? -1 : matchLength(source, found, target, at, end)
    if (before < BLOCK) {
      at++
      continue
    }
    let back = 0
    while (back < at - covered && back < found && source[found - back - 1] === target[at - back - 1]) back++
    writer.copy(found - back, at - back, before + back)
    if (writer.isTooLong) return
    at += before
    covered = at
  }
}

/** For each hash of a block of the source, the first such block: its index plus one. Zero for none. */
function indexBlocks(source: Buffer): Int32Array {
  const count = Math.floor(source.length / BLOCK)
  const table = new Int32Array(2 ** Math.ceil(Math.log2(2 * count)))
  const mask = table.length - 1
  for (let block = count - 1; block >= 0; block--) {
    table[spread(hashBlock(source, block * BLOCK)) & mask] = block * BLOCK + 1
  }
  return table
}

// A polynomial over the bytes of a block, modulo 2 to the 32nd. So it can be moved on by one byte.
let highest = 1
for (let power = 1; power < BLOCK; power++) highest = Math.imul(highest, MULTIPLIER)

function hashBlock(bytes: Buffer, at: number): number {
  let hash = 0
  for (let index = at; index < at + BLOCK; index++) hash = (Math.imul(hash, MULTIPLIER) + (bytes[index] as number)) | 0
  return hash
}

/** The hash of the block at `at`, from the hash of the block one byte before. */
function rollHash(hash: number, bytes: Buffer, at: number): number {
  const rest = hash - Math.imul(bytes[at - 1] as number, highest)
  return (Math.imul(rest, MULTIPLIER) + (bytes[at + BLOCK - 1] as number)) | 0
}

/** The lower bits of a polynomial depend on few of the bytes' bits. */
function spread(hash: number): number {
  return Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) >>> 8
}

function matchLength(source: Buffer, from: number, target: Buffer, at: number, end: number): number {
  const most = Math.min(source.length - from, end - at)
  let length = 0
  while (length < most && source[from + length] === target[at + length]) length++
  return length
}

function commonStart(source: Buffer, target: Buffer): number {
  return matchLength(source, 0, target, 0, target.length)
}

/** Does not reach into the same beginning. */
function commonEnd(source: Buffer, target: Buffer, start: number): number {
  const most = Math.min(source.length, target.length) - start
  let length = 0
  while (length < most && source[source.length - length - 1] === target[target.length - length - 1]) length++
  return length
}

/** True for a byte that continues a character. Behind the end there is none. */
function isContinuation(bytes: Buffer, at: number): boolean {
  return ((bytes[at] as number) & 0xc0) === 0x80
}

/** The sum of the bytes as big-endian words of 32 bits; missing bytes of the last word are 0. */
function checksum(bytes: Buffer): number {
  const whole = bytes.length - (bytes.length % 4)
  let sum = 0
  for (let at = 0; at < whole; at += 4) sum = (sum + bytes.readInt32BE(at)) | 0
  for (let at = whole; at < bytes.length; at++) sum = (sum + ((bytes[at] as number) << (24 - 8 * (at - whole)))) | 0
  return sum >>> 0
}
