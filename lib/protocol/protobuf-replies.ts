import type { ErrorReply } from './channel-errors.ts'
import type { CommandName } from './commands.ts'
import type { Disconnect } from './disconnect-codes.ts'
import { ByteWriter, type ReplyMessage, ReplyWriter } from './generated/messages.js'
import { rawMember } from './raw-json.ts'
import type {
  ConnectResult,
  Expiry,
  HistoryResult,
  PresenceResult,
  RefreshResult,
  ReplyPublication,
  ResultsByCommand,
  SubscribeReply
} from './results.ts'

/**
 * The messages that a server of the channel protocol sends, as Protobuf (`generated/client.proto`). A message is one
 * `Reply`, after its length as a varint, so that several can follow one another.
 */

type PushBody = NonNullable<ReplyMessage['push']>
type InfoMessage = NonNullable<NonNullable<PushBody['join']>['info']>
type PublicationMessage = NonNullable<PushBody['pub']>

const NOTHING = {}

const RESULTS: { readonly [Name in CommandName]: (result: ResultsByCommand[Name]) => ReplyMessage } = {
  connect: (result) => ({ connect: connectResult(result) }),
  subscribe: (result) => ({ subscribe: subscribeResult(result) }),
  unsubscribe: () => ({ unsubscribe: NOTHING }),
  publish: () => ({ publish: NOTHING }),
  presence: ({ clients }) => ({ presence: { presence: presentClients(clients) } }),
  presence_stats: ({ clients, users }) => ({ presence_stats: { num_clients: clients, num_users: users } }),
  history: (result) => ({ history: historyResult(result) }),
  ping: () => ({ ping: NOTHING }),
  send: () => NOTHING,
  rpc: ({ data }) => ({ rpc: { data: Buffer.from(data) } }),
  refresh: ({ client, version, ttl }: RefreshResult) => ({ refresh: { client, version, ...expiry(ttl) } }),
  sub_refresh: ({ ttl }) => ({ sub_refresh: expiry(ttl) })
}

/** Each method returns the bytes of one message. */
export const protobufReplies = {
  /** Keeps a connection alive: an empty reply, which clients answer with an empty command. */
  ping: Buffer.from([0]),

  reply<Name extends CommandName>(id: number, name: Name, result: ResultsByCommand[Name]): Buffer {
    return written({ id, ...RESULTS[name](result) })
  },

  error(id: number, { code, message, temporary = false }: ErrorReply): Buffer {
    return written({ id, error: { code, message, temporary } })
  },

  subscribePush(channel: string, { position, data }: SubscribeReply): Buffer {
    return push({ channel, subscribe: { ...positionFields(position), data: bytesOf(data) } })
  },

  unsubscribePush(channel: string, { code, reason }: Disconnect): Buffer {
    return push({ channel, unsubscribe: { code, reason } })
  },

  disconnectPush({ code, reason }: Disconnect): Buffer {
    return push({ disconnect: { code, reason } })
  },

  refreshPush(ttl: number | undefined): Buffer {
    return push({ refresh: expiry(ttl) })
  },

  laggingPush(dropped: number): Buffer {
    return push({ message: { data: Buffer.from(`{"notice":{"code":"lagging","dropped":${dropped}}}`) } })
  },

  presencePush(channel: string, kind: 'join' | 'leave', info: Buffer): Buffer {
    return push({ channel, [kind]: { info: infoMessage(info) } })
  },

  publicationPush(channel: string, publication: ReplyPublication): Buffer {
    return push({ channel, pub: publicationMessage(publication) })
  }
} as const

function push(body: PushBody): Buffer {
  return written({ push: body })
}

function written(message: ReplyMessage): Buffer {
  return ReplyWriter.encode(message, ByteWriter.create().fork()).ldelim().finish() as Buffer
}

function connectResult({ client, version, ttl, ping, data, subs, session, node }: ConnectResult) {
  const results = Array.from(subs, ([channel, result]) => [channel, subscribeResult(result)] as const)
  return {
    client,
    version,
    ...expiry(ttl),
    data: bytesOf(data),
    subs: Object.fromEntries(results),
    ping,
    pong: true,
    session,
    node
  }
}

function subscribeResult({ position, recovery, publications, delta, data, ttl }: SubscribeReply) {
  return {
    delta,
    ...expiry(ttl),
    ...positionFields(position),
    publications: publications.map(publicationMessage),
    was_recovering: recovery !== 'none',
    recovered: recovery === 'done',
    data: bytesOf(data)
  }
}

function positionFields(position: SubscribeReply['position']) {
  return position && { recoverable: true, epoch: position.epoch, offset: position.offset, positioned: true }
}

function historyResult({ publications, position: { offset, epoch } }: HistoryResult) {
  return { publications: publications.map(publicationMessage), epoch, offset }
}

function presentClients(clients: PresenceResult['clients']): Record<string, InfoMessage> {
  return Object.fromEntries(clients.map(([connection, info]) => [connection, infoMessage(info) ?? NOTHING]))
}

function publicationMessage({ data, offset, info, tags, delta }: ReplyPublication): PublicationMessage {
  const isDelta = delta !== undefined && delta !== 'whole'
  return {
    data: isDelta ? delta : data,
    offset,
    info: info && infoMessage(info),
    tags: tags && Object.fromEntries(tags),
    delta: isDelta || undefined
  }
}

/**
 * The description of a client. Its text may have come through Redis, where any program can write. A text that describes
 * no client is left out.
 */
function infoMessage(info: Buffer): InfoMessage | undefined {
  const text = info.toString()
  let fields: { readonly user?: unknown; readonly client?: unknown; conn_info?: unknown; chan_info?: unknown } | null
  try {
    fields = JSON.parse(text)
  } catch {
    return undefined // it is not JSON
  }
  if (typeof fields !== 'object' || fields === null) return undefined
  const { user, client, conn_info, chan_info } = fields
  return {
    user: typeof user === 'string' ? user : '',
    client: typeof client === 'string' ? client : '',
    // Values are passed on as they were written, because writing them again would change some numbers.
    conn_info: conn_info === undefined ? undefined : bytesOf(rawMember(text, ['conn_info'])),
    chan_info: chan_info === undefined ? undefined : bytesOf(rawMember(text, ['chan_info']))
  }
}

function bytesOf(text: string | undefined): Buffer | undefined {
  return text === undefined ? undefined : Buffer.from(text)
}

function expiry(ttl: Expiry['ttl']) {
  return ttl === undefined ? NOTHING : { expires: true, ttl }
}
