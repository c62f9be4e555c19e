import type { PresenceEventKind } from '../../broker/broker.ts'
import type { Format } from '../../hub/feed.ts'
import type { ErrorReply } from '../../protocol/channel-errors.ts'
import type { Command, CommandName } from '../../protocol/commands.ts'
import type { Disconnect } from '../../protocol/disconnect-codes.ts'
import type { Framing, Message } from '../../protocol/framing.ts'
import type { ReplyPublication, ResultsByCommand, SubscribeReply } from '../../protocol/results.ts'

/** A command that is refused before it is carried out. */
export interface RefusedCommand {
  /** 0 if the command has none. */
  readonly id: number
  readonly error: ErrorReply
}

/**
 * What a client sent as one command: a command, the answer to a ping, something that the protocol does not allow, or a
 * refused command.
 */
export type ReadCommand = Command | 'pong' | 'malformed' | RefusedCommand

/** An encoding of the channel protocol. All clients of the same encoding share one object. */
export interface Encoding {
  readonly name: 'json' | 'protobuf'
  /** Whether messages are bytes, and not text. */
  readonly isBinary: boolean
  /** Keeps a connection alive. Clients answer it. */
  readonly ping: Message
  /** Splits what a client sent into commands. Undefined if it is malformed, or holds more than `most` commands. */
  split(data: Buffer, most: number): Message[] | undefined
  /** The id of a command that is not going to be read. 0 if it cannot be found easily. */
  idOf(command: Message): number
  /**
   * Reads one command. Payloads are read as JSON, except those of `publish` if messages are bytes: `request.data` then
   * is a Buffer.
   */
  read(command: Message, maxDepth: number): ReadCommand
  /** The payload of a command, unchanged, as JSON text. Undefined if the command has none. */
  payloadOf(command: Message, name: CommandName): string | undefined
  /** The value of the payload of `publish`, as `read` left it. Throws 107 if it is not JSON that may be used. */
  publishedValue(data: unknown, maxDepth: number): unknown
  reply<Name extends CommandName>(id: number, name: Name, result: ResultsByCommand[Name]): Message
  error(id: number, error: ErrorReply): Message
  /** Several replies as one message. */
  join(replies: readonly Message[]): Message
  /** The server subscribed the client. */
  subscribePush(channel: string, result: SubscribeReply): Message
  unsubscribePush(channel: string, reason: Disconnect): Message
  /** The server ends the connection. Only transports without a close code send it. */
  disconnectPush(reason: Disconnect): Message
  /** The client's connection expires in so many seconds. */
  refreshPush(ttl: number | undefined): Message
  /** So many publications without history were not sent, because the client reads too slowly. */
  laggingPush(dropped: number): Message
  presencePush(channel: string, kind: PresenceEventKind, info: Buffer): Message
  /** What all publications of a channel begin with. */
  publicationHead: Format['head']
  publicationPush(head: string, publication: ReplyPublication, framing: Framing): Buffer
}
