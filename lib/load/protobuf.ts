/*
 * The messages of lib/protocol/generated/client.proto that a load client needs. The generated code reads commands and
 * writes replies only. Both ways would make it twice as large for every server.
 */

/** Field numbers, with the name and the kind of the field. */
interface Shape {
  readonly [field: number]: readonly [name: string, kind: 'number' | 'text' | 'json' | Shape]
}

const COMMAND: Shape = {
  1: ['id', 'number'],
  4: ['connect', { 4: ['name', 'text'] }],
  5: ['subscribe', { 1: ['channel', 'text'], 3: ['recover', 'number'], 6: ['epoch', 'text'], 7: ['offset', 'number'] }],
  7: ['publish', { 1: ['channel', 'text'], 2: ['data', 'json'] }]
}
const PUBLICATION: Shape = { 4: ['data', 'json'], 6: ['offset', 'number'] }
const SUBSCRIBED: Shape = {
  6: ['epoch', 'text'],
  7: ['publications', PUBLICATION],
  8: ['recovered', 'number'],
  9: ['offset', 'number'],
  12: ['was_recovering', 'number']
}
const CODE: Shape = { 1: ['code', 'number'] }
const UNSUBSCRIBE: Shape = { 2: ['code', 'number'] }
const PUSH: Shape = { 2: ['channel', 'text'], 4: ['pub', PUBLICATION], 7: ['unsubscribe', UNSUBSCRIBE] }
const REPLY: Shape = { 1: ['id', 'number'], 2: ['error', CODE], 4: ['push', PUSH], 6: ['subscribe', SUBSCRIBED] }
// Several of these may be in one message.
const REPEATED = 'publications'
const VARINT = 0
const BYTES = 2

/** One command after its length. Members of the kind `json` are JSON texts. */
export function encodeCommand(command: object): Buffer {
  return delimited(encode(COMMAND, command))
}

/** The replies in a message, with the same members as in JSON. An empty reply is a ping. Throws if it is malformed. */
export function decodeReplies(bytes: Buffer): object[] {
  const replies: object[] = []
  const reader = { bytes, at: 0 }
  while (reader.at < bytes.length) replies.push(decode(REPLY, take(reader)))
  return replies
}

function encode(shape: Shape, message: object): Buffer {
  const parts: Buffer[] = []
  for (const [field, [name, kind]] of Object.entries(shape)) {
    const value = (message as Record<string, unknown>)[name]
    if (value === undefined) continue
    const tag = Number(field) << 3
    if (kind === 'number') parts.push(varint(tag | VARINT), varint(Number(value)))
    else if (typeof kind === 'string') parts.push(varint(tag | BYTES), delimited(Buffer.from(value as string)))
    else parts.push(varint(tag | BYTES), delimited(encode(kind, value as object)))
  }
  return Buffer.concat(parts)
}

interface Reader {
  readonly bytes: Buffer
  at: number
}

function decode(shape: Shape, bytes: Buffer): object {
  const message: Record<string, unknown> = {}
  const reader = { bytes, at: 0 }
  while (reader.at < bytes.length) {
    const tag = readVarint(reader)
    // The server writes no other kinds of fields.
    const value = (tag & 7) === VARINT ? readVarint(reader) : take(reader)
    const [name, kind] = shape[tag >>> 3] ?? []
    if (name === undefined) continue
    const decoded = typeof value === 'number' ? value : valueIn(kind, value)
    message[name] = name === REPEATED ? [...((message[name] as unknown[] | undefined) ?? []), decoded] : decoded
  }
  return message
}

function valueIn(kind: Shape[number][1] | undefined, bytes: Buffer): unknown {
  if (typeof kind === 'object') return decode(kind, bytes)
  return kind === 'json' ? JSON.parse(bytes.toString()) : bytes.toString()
}

function take(reader: Reader): Buffer {
  const length = readVarint(reader)
  const start = reader.at
  reader.at += length
  if (reader.at > reader.bytes.length) throw new RangeError('the message ends too early')
  return reader.bytes.subarray(start, reader.at)
}

function delimited(bytes: Buffer): Buffer {
  return Buffer.concat([varint(bytes.length), bytes])
}

/** Numbers up to 2^53: no shifts, which are for 32 bits. */
function varint(value: number): Buffer {
  const bytes: number[] = []
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128)
  return Buffer.from([...bytes, value])
}

function readVarint(reader: Reader): number {
  let value = 0
  let factor = 1
  let byte: number
  do {
    byte = reader.bytes[reader.at++] ?? 0
    value += (byte & 127) * factor
    factor *= 128
  } while (byte > 127)
  return value
}
