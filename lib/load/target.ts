import type { LoadTransport } from './channel-client.ts'

/** What a run connects to, and how. */
export interface LoadTarget {
  /** `echo`: each connection gets its messages back. `rooms`: a message reaches all connections of the same path. */
  readonly protocol: 'channels' | 'rooms' | 'echo'
  readonly transport: LoadTransport
  /** `ws:` or `wss:`, and the host. */
  readonly origin: string
  /** With the query; `{run}` and `{n}` stand for the run and the number of the room. */
  readonly path: string
  /** How many channels or rooms. On an echo route each connection is one of its own. */
  readonly groups: number
  readonly channelName: string
}

/** What a run does. Times are in milliseconds. */
export interface LoadOptions {
  readonly target: LoadTarget
  readonly subscriptions: number
  readonly emulation: string
  readonly origin: string | undefined
  readonly connections: number
  readonly ramp: number
  readonly duration: number
  /** Messages a second, of all publishers. 0: the connections stay idle. */
  readonly rate: number
  readonly messages: number
  /** For each channel or room. Undefined: as many as the rate needs. */
  readonly publishers: number | undefined
  readonly payload: number
  readonly message: object | undefined
  readonly reconnectStorm: boolean
  readonly slowReaders: number
  readonly slowFor: number
  readonly secret: string | undefined
  readonly tokens: readonly string[]
  readonly users: number
  readonly claims: object
}

export type TargetChoice = Partial<Pick<LoadTarget, 'transport' | 'channelName'>> & {
  readonly channels?: number
  readonly rooms?: number
  readonly echo?: boolean
}

/** The command line is wrong. The message says what to write. */
export class UsageError extends Error {}

const SCHEMES: Readonly<Record<string, string>> = { 'ws:': 'ws:', 'wss:': 'wss:', 'http:': 'ws:', 'https:': 'wss:' }
const PATHS = { websocket: 'websocket', protobuf: 'websocket', http_stream: 'http_stream', sse: 'sse' }
const NAME = 'load-{run}-{n}'
const MOST_CHANNELS = 10
const ECHO_PATH = /\/(echo|json)$/
const CHANNEL_PATH = /\/connection\/(websocket|http_stream|sse)$/

/** Chooses the protocol by the options, else by the path. Throws a UsageError. */
export function chooseTarget(address: string, choice: TargetChoice, connections: number): LoadTarget {
  const url = readUrl(address)
  const { channels, rooms, echo, channelName = `rooms/${NAME}` } = choice
  // The URL standard escapes braces.
  const given = (url.pathname === '/' ? '' : url.pathname + url.search).replaceAll('%7B', '{').replaceAll('%7D', '}')
  const ending = CHANNEL_PATH.exec(url.pathname)?.[1] as Exclude<LoadTransport, 'protobuf'> | undefined
  const isNamed = Boolean(channels ?? choice.transport ?? choice.channelName ?? ending)
  const shared = {
    transport: choice.transport ?? ending ?? 'websocket',
    origin: `${url.protocol}//${url.host}`,
    channelName
  }
  if (echo || (!isNamed && rooms === undefined && ECHO_PATH.test(url.pathname))) {
    return { ...shared, protocol: 'echo', path: given || `/${url.search}`, groups: connections }
  }
  if (rooms === undefined && (isNamed || given === '')) {
    const groups = channels ?? Math.min(MOST_CHANNELS, connections)
    const path = given || `/connection/${PATHS[shared.transport]}${url.search}`
    return { ...shared, protocol: 'channels', path, groups: numbered(groups, channelName, '--channel-name') }
  }
  const path = given || `/ws/rooms/${NAME}`
  return { ...shared, protocol: 'rooms', path, groups: numbered(rooms ?? 1, path, 'the path of the URL') }
}

export function fill(template: string, run: string, n: number): string {
  return template.replaceAll('{run}', run).replaceAll('{n}', String(n))
}

function numbered(count: number, template: string, where: string): number {
  if (count === 1 || template.includes('{n}')) return count
  throw new UsageError(`${where} needs {n} in it: it stands for the numbers 0 to ${count - 1}`)
}

function readUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const scheme = SCHEMES[String(url?.protocol)]
  if (url === undefined || scheme === undefined) {
    throw new UsageError(`'${text}' is no URL of a server: write one such as ws://localhost:3000/ws/echo`)
  }
  if (url.username !== '' || url.password !== '') {
    throw new UsageError('the URL may not hold a user or a password: give a token with LOAD_TOKEN or --token-file')
  }
  url.protocol = scheme
  return url
}
