import { ChannelError, ERROR } from '../../protocol/channel-errors.ts'
import { isChannelName } from '../../protocol/channel-name.ts'
import { type Command, type CommandName, parseCommand } from '../../protocol/commands.ts'
import { ByteReader, CommandReader } from '../../protocol/generated/messages.js'
import { protobufReplies } from '../../protocol/protobuf-replies.ts'
import type { Encoding, ReadCommand } from './encoding.ts'
import { onOneLine, readJsonPayload } from './json-payload.ts'

const { ping, reply, error, subscribePush, unsubscribePush, disconnectPush } = protobufReplies
const { refreshPush, laggingPush, presencePush } = protobufReplies

/** Protobuf: one command or reply after another, each after its length as a varint. */
export const protobufEncoding: Encoding = {
  name: 'protobuf',
  isBinary: true,
  ping,
  split: splitMessage,
  idOf: (command) => firstId(command as Buffer),
  read: (command, maxDepth) => readBytes(command as Buffer, maxDepth),
  payloadOf: (command, name) => textOf(command as Buffer, name),
  publishedValue,
  reply,
  error,
  join: (replies) => (replies.length === 1 ? (replies[0] as Buffer) : Buffer.concat(replies as readonly Buffer[])),
  subscribePush,
  unsubscribePush,
  disconnectPush,
  refreshPush,
  laggingPush,
  presencePush,
  publicationHead: (channel) => channel,
  publicationPush: (channel, publication, framing) =>
    framing.frame(protobufReplies.publicationPush(channel, publication))
}

// A JSON command has two levels around its payload. Both encodings allow the same payloads.
const COMMAND_DEPTH = 2
// The tag of the field `id`: field 1, a varint. Clients write it first.
const ID_TAG = 8

type DecodedCommand = Readonly<Record<CommandName, { readonly data?: Buffer } | null>>

function splitMessage(data: Buffer, most: number): Buffer[] | undefined {
  const reader = ByteReader.create(data)
  const commands: Buffer[] = []
  try {
    while (reader.pos < reader.len) {
      if (commands.length === most) return undefined
      const length = reader.uint32()
      const start = reader.pos
      reader.skip(length)
      commands.push(data.subarray(start, reader.pos))
    }
  } catch {
    return undefined // a length is not a varint, or is beyond the end
  }
  return commands.length === 0 ? undefined : commands
}

function firstId(command: Buffer): number {
  const reader = ByteReader.create(command)
  try {
    return reader.uint32() === ID_TAG ? reader.uint32() : 0
  } catch {
    return 0 // it ends within a number
  }
}

/** Decodes the bytes of one command. Throws if they are malformed. Unknown fields are left out. */
function decode(command: Buffer): DecodedCommand {
  return CommandReader.decode(ByteReader.create(command), command.length) as DecodedCommand
}

/** Reads a command of a client, which may be any bytes. */
function readBytes(bytes: Buffer, maxDepth: number): ReadCommand {
  let decoded: DecodedCommand
  try {
    decoded = decode(bytes)
  } catch {
    return 'malformed' // it is no Protobuf, or a text in it is not UTF-8
  }
  const parsed = parseCommand(decoded)
  if (typeof parsed === 'string') return parsed
  return usable(parsed, maxDepth) ?? { id: parsed.id, error: ERROR.badRequest }
}

/** The command with its payload as a value. Undefined if the command must be refused. */
function usable(command: Command, maxDepth: number): Command | undefined {
  const { request, name } = command
  if ('channel' in request && !isChannelName(request.channel)) return undefined
  if (!('data' in request)) return command
  const payload = request.data as Buffer
  if (payload.length === 0) return withData(command, undefined)
  // Only the channel's declaration says what the payload of a publication is: see `publishedValue`.
  if (name === 'publish') return command
  const read = readPayload(payload, maxDepth)
  return read && withData(command, read.value)
}

function readPayload(payload: Buffer, maxDepth: number): { readonly value: unknown } | undefined {
  return readJsonPayload(payload, Math.max(0, maxDepth - COMMAND_DEPTH))
}

function withData(command: Command, data: unknown): Command {
  return { ...command, request: { ...command.request, data } } as Command
}

function publishedValue(data: unknown, maxDepth: number): unknown {
  const read = readPayload(data as Buffer, maxDepth)
  if (read === undefined) throw new ChannelError(ERROR.badRequest.code)
  return read.value
}

/** @param command A command that `read` has accepted. */
function textOf(command: Buffer, name: CommandName): string | undefined {
  const payload = decode(command)[name]?.data
  return payload === undefined || payload.length === 0 ? undefined : onOneLine(payload.toString())
}
