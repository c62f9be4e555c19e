import { readFileSync } from 'node:fs'
import protobuf from 'protobufjs'

/*
 * What clients of the channel protocol that speak Protobuf send and read, by another implementation of the encoding than
 * the server's: the reflection of protobuf.js over the protocol's definition.
 */

const file = new URL('../../lib/protocol/generated/client.proto', import.meta.url)
const { root } = protobuf.parse(readFileSync(file, 'utf8'), { keepCase: true })
const Command = root.lookupType('centrifugal.centrifuge.protocol.Command')
const Reply = root.lookupType('centrifugal.centrifuge.protocol.Reply')

export type Fields = Record<string, unknown>

/** Commands, each after its length. Payloads are Buffers; a value that is none goes out as its JSON text. */
export function commandBytes(...commands: Fields[]): Buffer {
  return Buffer.concat(commands.map((command) => Command.encodeDelimited(Command.fromObject(command)).finish()))
}

/** One command without its length. */
export function bareCommand(command: Fields): Buffer {
  return Buffer.from(Command.encode(Command.fromObject(command)).finish())
}

/** The replies in a message, as JSON gives them: payloads are texts, and fields with defaults are left out. */
export function repliesIn(message: Uint8Array): Fields[] {
  const reader = protobuf.Reader.create(message)
  const replies: Fields[] = []
  while (reader.pos < reader.len) {
    const reply = Reply.toObject(Reply.decodeDelimited(reader), { bytes: Array, longs: Number })
    replies.push(withTexts(reply) as Fields)
  }
  return replies
}

/** `toObject` gives bytes as arrays of numbers, and no message of the protocol has a list of numbers. */
function withTexts(value: unknown): unknown {
  if (Array.isArray(value)) {
    const isText = value.length > 0 && value.every((item) => typeof item === 'number')
    return isText ? Buffer.from(value as number[]).toString('latin1') : value.map(withTexts)
  }
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withTexts(inner)]))
}
