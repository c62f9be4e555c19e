import type { ErrorReply } from './channel-errors.ts'
import type { CommandName } from './commands.ts'
import type { Disconnect } from './disconnect-codes.ts'
import { wrappedTextFrame } from './frame.ts'

/**
 * The messages that a server of the channel protocol sends: replies to commands, with the command's id, and pushes.
 * Payloads (`data`, and the description of a client) are JSON texts already, and are inserted unchanged.
 */

/** Keeps a connection alive: an empty object, which clients answer with an empty object. */
export const PING = '{}'

export interface ClientInfo {
  readonly user: string
  /** The connection's id. */
  readonly client: string
  /** The info of the connection, from its token or from `onConnect`. JSON text. */
  readonly connection?: string
  /** The info of the subscription, from the application. JSON text. */
  readonly channel?: string
}

/** A publication in a reply or a push. */
export interface ReplyPublication {
  readonly data: Buffer
  readonly offset: number
  readonly info?: Buffer
}

export interface Expiry {
  /** Seconds until the client must send a new token. Undefined if it does not have to. */
  readonly ttl: number | undefined
}

export interface SubscribeReply extends Expiry {
  /** Set for a channel with history: after a reconnect the client can recover from this position. */
  readonly position: { readonly offset: number; readonly epoch: string } | undefined
  /** `none` if the client did not request the publications that it missed, `done` if it gets all of them. */
  readonly recovery: 'none' | 'failed' | 'done'
  readonly publications: readonly ReplyPublication[]
  /** JSON text. */
  readonly data: string | undefined
}

export interface ConnectResult extends Expiry {
  readonly client: string
  readonly version: string
  /** The server sends a ping at least every so many seconds. */
  readonly ping: number
  /** JSON text. */
  readonly data: string | undefined
  /** The results of subscriptions that the server made, by channel. JSON texts. */
  readonly subs: ReadonlyMap<string, string>
}

export function reply(id: number, name: CommandName, result: string): string {
  return `{"id":${id},"${name}":${result}}`
}

export function errorReply(id: number, { code, message, temporary }: ErrorReply): string {
  return JSON.stringify({ id, error: { code, message, ...(temporary && { temporary }) } })
}

export function connectResult({ client, version, ttl, ping, data, subs }: ConnectResult): string {
  const entries = Array.from(subs, ([channel, result]) => `${JSON.stringify(channel)}:${result}`)
  return members(
    `"client":${JSON.stringify(client)}`,
    `"version":${JSON.stringify(version)}`,
    expiry(ttl),
    data !== undefined && `"data":${data}`,
    entries.length > 0 && `"subs":{${entries.join(',')}}`,
    `"ping":${ping}`,
    '"pong":true'
  )
}

export function subscribeResult(result: SubscribeReply): string {
  const { position, recovery, publications, data, ttl } = result
  return members(
    expiry(ttl),
    position !== undefined &&
      `"recoverable":true,"epoch":${JSON.stringify(position.epoch)},"offset":${position.offset},"positioned":true`,
    publications.length > 0 && `"publications":${publicationList(publications)}`,
    recovery !== 'none' && '"was_recovering":true',
    recovery === 'done' && '"recovered":true',
    data !== undefined && `"data":${data}`
  )
}

export function refreshResult(client: string, version: string, ttl: number | undefined): string {
  return members(`"client":${JSON.stringify(client)}`, `"version":${JSON.stringify(version)}`, expiry(ttl))
}

export function subRefreshResult(ttl: number | undefined): string {
  return members(expiry(ttl))
}

export function historyResult(
  publications: readonly ReplyPublication[],
  { offset, epoch }: { readonly offset: number; readonly epoch: string }
): string {
  return `{"publications":${publicationList(publications)},"epoch":${JSON.stringify(epoch)},"offset":${offset}}`
}

/** @param clients The description of each connection, by the connection's id. JSON texts. */
export function presenceResult(clients: Iterable<readonly [client: string, info: string]>): string {
  const entries = Array.from(clients, ([client, info]) => `${JSON.stringify(client)}:${info}`)
  return `{"presence":{${entries.join(',')}}}`
}

export function presenceStatsResult(clients: number, users: number): string {
  return `{"num_clients":${clients},"num_users":${users}}`
}

/** @param data JSON text. */
export function rpcResult(data: string): string {
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

/** The server subscribed the client. */
export function subscribePush(channel: string, result: string): string {
  return push(channel, 'subscribe', result)
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

/** The frame of one publication. */
export function publicationFrame(head: string, { data, offset, info }: ReplyPublication): Buffer {
  return wrappedTextFrame(head, data, `${publicationTail(offset, info)}}}`)
}

function publicationList(publications: readonly ReplyPublication[]): string {
  const texts = publications.map(
    ({ data, offset, info }) => `{"data":${data.toString()}${publicationTail(offset, info)}`
  )
  return `[${texts.join(',')}]`
}

function publicationTail(offset: number, info: Buffer | undefined): string {
  return `${offset === 0 ? '' : `,"offset":${offset}`}${info === undefined ? '' : `,"info":${info.toString()}`}}`
}

function expiry(ttl: number | undefined): string | false {
  return ttl !== undefined && `"expires":true,"ttl":${ttl}`
}

function members(...parts: readonly (string | false)[]): string {
  return `{${parts.filter((part) => part !== false).join(',')}}`
}
