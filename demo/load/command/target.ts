/** The server, and the protocol to use. */
export interface Target {
  /**
   * `channels`: the channel protocol. `rooms`: plain WebSocket, a message of one connection reaches all on the same
   * path. `echo`: plain WebSocket, each connection gets its messages back.
   */
  readonly protocol: 'channels' | 'rooms' | 'echo'
  /** `ws:` or `wss:`. */
  readonly url: URL
  /** Path and query to connect to; `{run}` and `{n}` stand for the run and, in rooms, the number of the room. */
  readonly path: string
  /** How many channels or rooms. On an echo route each connection is a group of its own: 0. */
  readonly groups: number
  /** The names of the channels, with `{run}` and `{n}`. */
  readonly channelName: string
}

export interface TargetChoice {
  readonly url: string
  readonly channels: number | undefined
  readonly rooms: number | undefined
  readonly echo: boolean
  readonly channelName: string | undefined
  /** Used if no option gives the number. */
  readonly defaultChannels: number
}

/** The target is wrong; the message says what to give. */
export class TargetError extends Error {
  override readonly name = 'TargetError'
}

const SCHEMES: Readonly<Record<string, string>> = { 'ws:': 'ws:', 'wss:': 'wss:', 'http:': 'ws:', 'https:': 'wss:' }
const CHANNEL_ENDPOINT = '/connection/websocket'
const ROOM_PATH = '/ws/rooms/load-{run}-{n}'
const CHANNEL_NAME = 'rooms/load-{run}-{n}'
const ECHO_PATH = /\/(echo|json)$/

/** The rule in words, for the help and the docs. */
export const TARGET_RULE = [
  '--channels N: the channel protocol (JSON), at /connection/websocket unless the URL has a path',
  '--rooms N: app.ws rooms, at /ws/rooms/load-{run}-{n} unless the URL has a path, in which {n} is the room',
  'neither, and the path ends in /echo or /json (or --echo): each gets back what it sends',
  'neither, and another path: one room, of all connections on that path',
  'neither, and no path: as with --channels 10'
]

/** Decides by TARGET_RULE. Throws a TargetError. */
export function chooseTarget(choice: TargetChoice): Target {
  const { channels, rooms, echo, channelName } = choice
  const url = parseUrl(choice.url)
  if ([channels !== undefined, rooms !== undefined, echo].filter(Boolean).length > 1) {
    throw new TargetError('--channels, --rooms and --echo exclude each other: one run speaks one protocol')
  }
  // The URL standard escapes braces in a path.
  const given = decodeBraces(url.pathname === '/' ? '' : url.pathname) + decodeBraces(url.search)
  const plain = given !== '' && channels === undefined
  if (channelName !== undefined && (plain || rooms !== undefined || echo)) {
    throw new TargetError('--channel-name is for the channel protocol: give --channels too')
  }
  const names = { channelName: channelName ?? CHANNEL_NAME }
  if (rooms !== undefined) {
    const path = given || ROOM_PATH
    if (rooms > 1 && !path.includes('{n}')) {
      throw new TargetError(`--rooms ${rooms} needs a {n} in the path of --url, such as ${ROOM_PATH}`)
    }
    return { protocol: 'rooms', url, path, groups: rooms, ...names }
  }
  if (echo || (plain && ECHO_PATH.test(url.pathname))) {
    if (given === '') throw new TargetError('--echo needs a path in --url, such as ws://127.0.0.1:3000/ws/echo')
    return { protocol: 'echo', url, path: given, groups: 0, ...names }
  }
  if (plain) {
    if (given.includes('{n}')) throw new TargetError('the path of --url has {n}: say with --rooms how many there are')
    return { protocol: 'rooms', url, path: given, groups: 1, ...names }
  }
  const groups = channels ?? choice.defaultChannels
  if (groups > 1 && !names.channelName.includes('{n}')) {
    throw new TargetError(`--channel-name needs a {n} for the numbers of ${groups} channels`)
  }
  return { protocol: 'channels', url, path: given || CHANNEL_ENDPOINT, groups, ...names }
}

/** Fills `{run}` and `{n}` in. */
export function fill(template: string, run: string, n: number): string {
  return template.replaceAll('{run}', run).replaceAll('{n}', String(n))
}

function parseUrl(text: string): URL {
  const problem = `--url must be a URL such as ws://127.0.0.1:3000 or wss://example.com/live, not '${text}'`
  if (!URL.canParse(text)) throw new TargetError(problem)
  const url = new URL(text)
  const scheme = SCHEMES[url.protocol]
  if (scheme === undefined || url.hostname === '') throw new TargetError(problem)
  if (url.username !== '' || url.password !== '') {
    throw new TargetError('--url may not hold a user or a password: give a token with --token or --token-secret')
  }
  url.protocol = scheme
  url.hash = ''
  return url
}

function decodeBraces(part: string): string {
  return part.replaceAll('%7B', '{').replaceAll('%7D', '}')
}
