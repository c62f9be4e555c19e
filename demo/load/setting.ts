import { randomBytes } from 'node:crypto'
import { isIP } from 'node:net'
import { subprotocols } from 'fastify-realtime/client'
import { ChannelClient } from './client/channel-client.ts'
import type { Client, ClientObserver } from './client/client.ts'
import type { Endpoint } from './client/connection.ts'
import { SocketClient } from './client/socket-client.ts'
import { Subscription } from './client/subscription.ts'
import type { LoadOptions } from './command/options.ts'
import { fill } from './command/target.ts'
import { findServer, type ServerUsage } from './measure/server-usage.ts'
import { groupsOf, isSlow } from './plan.ts'
import { checkFileLimit, checkServerFileLimit, reachableAddress, sourceAddresses } from './preflight.ts'
import { provideTokens, type Tokens } from './tokens.ts'

/** Everything that a run needs before its first connection. */
export interface Setting {
  /** Its name, new for each run. */
  readonly run: string
  /** The server's IP address and port. */
  readonly address: string
  readonly port: number
  readonly tokens: Tokens
  /** Addresses to connect from in turn; none for the system's choice. */
  readonly sources: readonly string[]
  readonly server: ServerUsage | undefined
}

/** Finds out the setting, and whether the run is possible. Throws a RunError if it is not. */
export async function prepare(options: LoadOptions): Promise<Setting> {
  const { url } = options.target
  const run = randomBytes(4).toString('hex')
  const port = Number(url.port) || (url.protocol === 'wss:' ? 443 : 80)
  const origin = url.origin.replace(/^ws/, 'http')
  checkFileLimit(options.connections)
  const address = await reachableAddress(url.hostname, port)
  const sources = sourceAddresses(options.connections, address)
  const server = await findServer(address, port, origin)
  checkServerFileLimit(options.connections, server)
  const tokens = await provideTokens(options, run, origin)
  return { run, address, port, tokens, sources, server }
}

/** The clients of a run, none of them connected yet. */
export function makeClients(options: LoadOptions, setting: Setting, observer: ClientObserver): Client[] {
  const { protocol, channelName } = options.target
  return Array.from({ length: options.connections }, (_, at) => {
    const groups = groupsOf(options, at)
    const name = (group: number) => (protocol === 'channels' ? fill(channelName, setting.run, group) : '')
    const setup = {
      endpoint: endpointOf(options, setting, at, groups[0] as number),
      subscriptions: groups.map((group) => new Subscription(group, name(group))),
      observer,
      isSlow: isSlow(options, at)
    }
    return protocol === 'channels' ? new ChannelClient(setup) : new SocketClient(setup, protocol === 'echo')
  })
}

function endpointOf({ target, origin }: LoadOptions, setting: Setting, at: number, group: number): Endpoint {
  const { url, path } = target
  const token = setting.tokens.of(at)
  return {
    secure: url.protocol === 'wss:',
    address: setting.address,
    port: setting.port,
    host: url.host,
    // Not for addresses: RFC 6066 section 3.
    serverName: isIP(url.hostname.replace(/^\[|\]$/g, '')) === 0 ? url.hostname : '',
    path: fill(path, setting.run, group),
    protocols: token === undefined ? [] : subprotocols(token),
    origin,
    localAddress: setting.sources[at % setting.sources.length]
  }
}
