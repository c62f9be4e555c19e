import type { ErrorReply } from './channel-errors.ts'
import type { CommandName } from './commands.ts'
import type { Disconnect } from './disconnect-codes.ts'
import type { Framing } from './framing.ts'
import { jsonData } from './json-data.ts'
import type {
  ClientInfo,
  ConnectResult,
  Expiry,
  HistoryResult,
  PresenceResult,
  PresenceStatsResult,
  RefreshResult,
  ReplyPublication,
  ResultsByCommand,
  RpcResult,
  SubscribeReply
} from './results.ts'
import { writeTags } from './tags.ts'

/**
 * The messages that a server of the channel protocol sends, as JSON: replies to commands, with the command's id, and
 * pushes. Payloads (`data`, and the description of a client) are JSON texts already, and are inserted unchanged.
 */

/** Keeps a connection alive: an empty object, which clients answer with an empty object. */
export const PING = '{}'

const WRITERS: { readonly [Name in CommandName]: (result: ResultsByCommand[Name]) => string } = {
  connect: connectResult,
  subscribe: subscribeResult,
  unsubscribe: nothing,
  publish: nothing,
  presence: presenceResult,
  presence_stats: presenceStatsResult,
  history: historyResult,
  ping: nothing,
  send: nothing,
  rpc: rpcResult,
  refresh: refreshResult,
  sub_refresh: subRefreshResult
}

export function reply<Name extends CommandName>(id: number, name: Name, result: ResultsByCommand[Name]): string {
  return `{"id":${id},"${name}":${WRITERS[name](result)}}`
}

function nothing(): string {
  return '{}'
}

export function errorReply(id: number, { code, message, temporary }: ErrorReply): string {
  return JSON.stringify({ id, error: { code, message, ...(temporary && { temporary }) } })
}

function connectResult({ client, version, ttl, ping, data, subs, session, node }: ConnectResult): string {
  const entries = Array.from(subs, ([channel, result]) => `${JSON.stringify(channel)}:${subscribeResult(result)}`)
  return members(
    `"client":${JSON.stringify(client)}`,
    `"version":${JSON.stringify(version)}`,
    expiry(ttl),
    data !== undefined && `"data":${data}`,
    entries.length > 0 && `"subs":{${entries.join(',')}}`,
    `"ping":${ping}`,
    '"pong":true',
    session !== undefined && `"session":${JSON.stringify(session)}`,
    node !== undefined && `"node":${JSON.stringify(node)}`
  )
}

function subscribeResult(result: SubscribeReply): string {
  const { position, recovery, publications, delta, data, ttl } = result
  return members(
    expiry(ttl),
    position !== undefined &&
      `"recoverable":true,"epoch":${JSON.stringify(position.epoch)},"offset":${position.offset},"positioned":true`,
    publications.length > 0 && `"publications":${publicationList(publications)}`,
    recovery !== 'none' && '"was_recovering":true',
    recovery === 'done' && '"recovered":true',
    delta === true && '"delta":true',
    data !== undefined && `"data":${data}`
  )
}

function refreshResult({ client, version, ttl }: RefreshResult): string {
  return members(`"client":${JSON.stringify(client)}`, `"version":${JSON.stringify(version)}`, expiry(ttl))
}

function subRefreshResult({ ttl }: Expiry): string {
  return members(expiry(ttl))
}

function historyResult({ publications, position: { offset, epoch } }: HistoryResult): string {
  return `{"publications":${publicationList(publications)},"epoch":${JSON.stringify(epoch)},"offset":${offset}}`
}

function presenceResult({ clients }: PresenceResult): string {
  const entries = clients.map(([connection, info]) => `${JSON.stringify(connection)}:${info}`)
  return `{"presence":{${entries.join(',')}}}`
}

function presenceStatsResult({ clients, users }: PresenceStatsResult): string {
  return `{"num_clients":${clients},"num_users":${users}}`
}

function rpcResult({ data }: RpcResult): string {
  return `{"data":${data}}`
}

export function clientInfo({ user, client, connection, channel }: ClientInfo): string {
  return members(
    `"user":${JSON.stringify(user)}`,
    `"client":${JSON.stringify(client)}`,
    connection !== undefined && `"conn_info":${connection}`,
    channel !== undefined && `"chan_info":${channel}`
  )
}

/** The message that `dropped` publications without history were not sent, because the client reads too slowly. */
export function laggingPush(dropped: number): string {
  return messagePush(`{"notice":{"code":"lagging","dropped":${dropped}}}`)
}

/** @param data JSON text. */
function messagePush(data: string): string {
  return `{"push":{"message":{"data":${data}}}}`
}

export function unsubscribePush(channel: string, { code, reason }: Disconnect): string {
  return push(channel, 'unsubscribe', JSON.stringify({ code, reason }))
}

/** The last message of a stream that the server ends. */
export function disconnectPush({ code, reason }: Disconnect): string {
  return `{"push":{"disconnect":${JSON.stringify({ code, reason })}}}`
}

/** The server subscribed the client. */
export function subscribePush(channel: string, result: SubscribeReply): string {
  return push(channel, 'subscribe', subscribeResult(result))
}

export function refreshPush(ttl: number | undefined): string {
  return `{"push":{"refresh":${members(expiry(ttl))}}}`
}

/** @param info The description of a client. JSON text. */
export function presencePush(channel: string, kind: 'join' | 'leave', info: string): string {
  return push(channel, kind, `{"info":${info}}`)
}

function push(channel: string, kind: string, body: string): string {
  return `{"push":{"channel":${JSON.stringify(channel)},"${kind}":${body}}}`
}

/** The text at the beginning of the frame of each publication of a channel. */
export function publicationHead(channel: string): string {
  return `{"push":{"channel":${JSON.stringify(channel)},"pub":{"data":`
}

/** One publication on a stream. */
export function publicationPush(head: string, publication: ReplyPublication, framing: Pick<Framing, 'wrap'>): Buffer {
  return framing.wrap(head, payloadOf(publication), `${publicationTail(publication)}}}`)
}

function publicationList(publications: readonly ReplyPublication[]): string {
  const texts = publications.map(
    (publication) => `{"data":${payloadOf(publication).toString()}${publicationTail(publication)}`
  )
  return `[${texts.join(',')}]`
}

/** A client that takes deltas needs the bytes of each publication, so it gets the JSON text as a string. */
function payloadOf(publication: ReplyPublication): Buffer {
  const { data, delta } = publication
  if (delta === undefined) return jsonData(publication)
  return Buffer.from(JSON.stringify((delta === 'whole' ? data : delta).toString()))
}

function publicationTail({ offset, info, tags, delta }: ReplyPublication): string {
  const position = offset === 0 ? '' : `,"offset":${offset}`
  const described = info === undefined ? '' : `,"info":${info.toString()}`
  if (tags === undefined && delta === undefined) return `${position}${described}}`
  const tagged = tags === undefined ? '' : `,"tags":${writeTags(tags)}`
  return `${position}${described}${tagged}${delta === undefined || delta === 'whole' ? '' : ',"delta":true'}}`
}

function expiry(ttl: number | undefined): string | false {
  return ttl !== undefined && `"expires":true,"ttl":${ttl}`
}

function members(...parts: readonly (string | false)[]): string {
  return `{${parts.filter((part) => part !== false).join(',')}}`
}
