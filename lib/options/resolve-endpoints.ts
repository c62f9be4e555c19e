import { InvalidOptionError } from '../errors.ts'
import { DEFAULTS, type ResolvedHttpEndpoints, type ResolvedOptions } from './options.ts'

/* Checks the paths of the endpoints of the channel protocol. */

type Channels = ResolvedOptions['channels']
type Given = Channels & { readonly url?: string | undefined }

/** Throws `FST_RT_INVALID_OPTION`. */
export function resolveEndpoints({ url, ...given }: Given): Channels {
  const channels = { ...given, websocket: websocketPath(url, given.websocket), http: httpEndpoints(given.http) }
  const { websocket, http } = channels
  if (websocket === false && http === false) {
    fail('channels.websocket', 'leave one endpoint to the clients of channels: this one, or channels.http')
  }
  const paths = [websocket, ...(http === false ? [] : [http.stream, http.sse, http.emulation])]
  const repeated = paths.find((path, at) => path !== false && paths.indexOf(path) !== at)
  if (repeated !== undefined) fail('channels', `give each endpoint a path of its own: ${repeated} is there twice`)
  return channels
}

function websocketPath(url: string | undefined, websocket: string | false): string | false {
  if (url === undefined) return pathOrFalse('channels.websocket', websocket)
  if (websocket !== DEFAULTS.channels.websocket && websocket !== url) {
    fail('channels.url', 'it is an older name of channels.websocket: give only one of them')
  }
  return path('channels.url', url)
}

function httpEndpoints(given: ResolvedHttpEndpoints | false): ResolvedHttpEndpoints | false {
  if (given === false) return false
  const stream = pathOrFalse('channels.http.stream', given.stream)
  const sse = pathOrFalse('channels.http.sse', given.sse)
  const emulation = path('channels.http.emulation', given.emulation)
  return stream === false && sse === false ? false : { stream, sse, emulation }
}

function pathOrFalse(option: string, value: unknown): string | false {
  return value === false ? false : path(option, value, ', or false')
}

function path(option: string, value: unknown, orElse = ''): string {
  if (typeof value === 'string' && value.startsWith('/')) return value
  return fail(option, `give a path like /live${orElse}`)
}

function fail(option: string, fix: string): never {
  throw new InvalidOptionError(option, fix)
}
