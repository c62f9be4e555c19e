import type { Position } from './position.ts'

/**
 * The commands of the channel protocol (the Centrifuge client protocol, JSON), as clients send them: one object per
 * line, `{"id":1,"subscribe":{"channel":"news"}}`. As in the JSON form of protocol buffers, unknown fields are ignored,
 * missing and null fields have their defaults, and whole numbers may be strings.
 */

/** A request that may require a form of subscription that not every server supports. */
export interface FormRequest {
  /**
   * True if the request requires a map, a shared poll, or a filter by tags where only `subscribe` may have one. With the
   * plain form the client would get publications that it did not ask for, or wait for ones that never come.
   */
  readonly isSpecial: boolean
}

export interface ConnectRequest extends FormRequest {
  readonly token: string
  readonly data: unknown
  readonly name: string
  readonly version: string
  /** The client's positions in the channels that the server had subscribed it to. */
  readonly subs: ReadonlyMap<string, Position | undefined>
}

export interface SubscribeRequest extends FormRequest {
  readonly channel: string
  readonly token: string
  readonly data: unknown
  /** Set if the client requests the publications that it missed since this position. */
  readonly since: Position | undefined
  /** If these publications are no longer available, the answer is the error 112, and no subscription. */
  readonly rejectUnrecovered: boolean
  /** The client requests `join` and `leave` pushes. */
  readonly joinLeave: boolean
  /** The kind of deltas that the client takes. Empty for none. */
  readonly delta: string
  /** The client's filter by tags. It is not checked yet. Undefined for none. */
  readonly filter: unknown
}

export interface ChannelRequest {
  readonly channel: string
}

export interface TokenRequest {
  readonly token: string
}

export interface SubRefreshRequest extends ChannelRequest, TokenRequest, FormRequest {}

export interface PublishRequest extends FormRequest {
  readonly channel: string
  readonly data: unknown
}

export interface HistoryRequest {
  readonly channel: string
  /** 0 requests only the position. Below 0 requests the whole history. */
  readonly limit: number
  readonly since: Position | undefined
  readonly reverse: boolean
}

export interface RpcRequest {
  readonly method: string
  readonly data: unknown
}

export interface SendRequest {
  readonly data: unknown
}

export interface RequestsByCommand {
  readonly connect: ConnectRequest
  readonly subscribe: SubscribeRequest
  readonly unsubscribe: ChannelRequest
  readonly publish: PublishRequest
  readonly presence: ChannelRequest
  readonly presence_stats: ChannelRequest
  readonly history: HistoryRequest
  readonly ping: Readonly<Record<never, never>>
  readonly send: SendRequest
  readonly rpc: RpcRequest
  readonly refresh: TokenRequest
  readonly sub_refresh: SubRefreshRequest
}

export type CommandName = keyof RequestsByCommand

/** One command. Only `send` may have the id 0: it has no reply. */
export type Command = {
  [Name in CommandName]: { readonly id: number; readonly name: Name; readonly request: RequestsByCommand[Name] }
}[CommandName]

/** `pong` is a client's answer to a ping: an empty object. */
export type ParsedLine = Command | 'pong' | 'malformed'

type Fields = Readonly<Record<string, unknown>>

/** The subscription flag that this server knows. */
const REJECT_UNRECOVERED = 2
const WHOLE_NUMBER = /^-?\d{1,19}$/

class Malformed extends Error {}

/** Splits a frame into the texts of its commands. Returns undefined if the frame is malformed or has too many. */
export function splitFrame(text: string, most: number): string[] | undefined {
  const lines = (text.endsWith('\n') ? text.slice(0, -1) : text).split('\n', most + 1)
  return lines.length > most || lines.includes('') ? undefined : lines
}

// Clients write the id first or last. An id at the end of the text belongs to the command itself: after a nested object
// there would be more braces.
const FIRST_ID = /^\{"id":(\d{1,10})[,}]/
const LAST_ID = /,"id":(\d{1,10})\}$/

/** The id of a command that is not going to be parsed. 0 if the id is neither first nor last. */
export function idOf(line: string): number {
  return Number((FIRST_ID.exec(line) ?? LAST_ID.exec(line.slice(-20)))?.[1] ?? 0)
}

/** Reads a command from the parsed JSON of a line. */
export function parseCommand(value: unknown): ParsedLine {
  try {
    return read(value)
  } catch {
    return 'malformed' // readers throw nothing but Malformed
  }
}

function read(value: unknown): ParsedLine {
  const fields = object(value)
  const id = wholeNumber(fields.id)
  if (id < 0 || id > 0xffffffff) return 'malformed'
  const name = NAMES.find((candidate) => fields[candidate] !== undefined && fields[candidate] !== null)
  if (name === undefined) return id === 0 ? 'pong' : 'malformed'
  if (id === 0 && name !== 'send') return 'malformed'
  return { id, name, request: READERS[name](object(fields[name])) } as Command
}

const READERS: { readonly [Name in CommandName]: (fields: Fields) => RequestsByCommand[Name] } = {
  connect: (fields) => ({
    token: text(fields.token),
    data: fields.data,
    name: text(fields.name),
    version: text(fields.version),
    subs: new Map(Object.entries(object(fields.subs ?? {})).map(([channel, sub]) => [channel, recovery(object(sub))])),
    isSpecial: Object.values(object(fields.subs ?? {})).some((sub) => isSpecial(object(sub)))
  }),
  subscribe: (fields) => ({
    channel: channelOf(fields),
    token: text(fields.token),
    data: fields.data,
    since: recovery(fields),
    rejectUnrecovered: (wholeNumber(fields.flag) & REJECT_UNRECOVERED) !== 0,
    joinLeave: flag(fields.join_leave),
    delta: text(fields.delta),
    filter: fields.tf ?? undefined,
    isSpecial: wholeNumber(fields.type) !== 0
  }),
  unsubscribe: (fields) => ({ channel: channelOf(fields) }),
  publish: (fields) => ({ channel: channelOf(fields), data: fields.data, isSpecial: isSpecial(fields) }),
  presence: (fields) => ({ channel: channelOf(fields) }),
  presence_stats: (fields) => ({ channel: channelOf(fields) }),
  history: (fields) => ({
    channel: channelOf(fields),
    limit: wholeNumber(fields.limit),
    since: fields.since === undefined || fields.since === null ? undefined : since(object(fields.since)),
    reverse: flag(fields.reverse)
  }),
  ping: () => ({}),
  send: (fields) => ({ data: fields.data }),
  rpc: (fields) => ({ method: text(fields.method), data: fields.data }),
  refresh: (fields) => ({ token: required(fields.token) }),
  sub_refresh: (fields) => ({ channel: channelOf(fields), token: text(fields.token), isSpecial: isSpecial(fields) })
}

// If one command has several requests, the first one in the order of the protocol's definition counts.
const NAMES = Object.keys(READERS) as CommandName[]

function object(value: unknown): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Malformed()
  return value as Fields
}

function text(value: unknown): string {
  if (value === undefined || value === null) return ''
  if (typeof value !== 'string') throw new Malformed()
  return value
}

function required(value: unknown): string {
  const given = text(value)
  if (given === '') throw new Malformed()
  return given
}

function channelOf({ channel }: Fields): string {
  return required(channel)
}

function flag(value: unknown): boolean {
  if (value === undefined || value === null) return false
  if (typeof value !== 'boolean') throw new Malformed()
  return value
}

function wholeNumber(value: unknown): number {
  if (value === undefined || value === null) return 0
  const number = typeof value === 'string' && WHOLE_NUMBER.test(value) ? Number(value) : value
  if (!Number.isSafeInteger(number)) throw new Malformed()
  return number as number
}

/**
 * `tf` is a filter by tags. The type 0 is the plain form of each request. A request for deltas needs no check: they are
 * only used if the reply offers them.
 */
function isSpecial({ tf, type }: Fields): boolean {
  return (tf !== undefined && tf !== null) || wholeNumber(type) !== 0
}

function recovery(fields: Fields): Position | undefined {
  return flag(fields.recover) ? since(fields) : undefined
}

/** An invalid offset does not make the command malformed. The client then gets a position that cannot be recovered. */
function since({ offset = 0, epoch }: Fields): Position {
  const number = typeof offset === 'string' && WHOLE_NUMBER.test(offset) ? Number(offset) : (offset ?? 0)
  const isOffset = Number.isSafeInteger(number) && (number as number) >= 0
  return { offset: isOffset ? (number as number) : -1, epoch: text(epoch) }
}
