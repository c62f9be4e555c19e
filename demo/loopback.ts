import { BlockList, isIP } from 'node:net'
import type { FastifyRequest } from 'fastify'

const addresses = new BlockList()
addresses.addSubnet('127.0.0.0', 8, 'ipv4')
addresses.addAddress('::1', 'ipv6')

/** Whether a host (an address, or a name as it stands in a URL) is this machine by its loopback interface. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[(.*)\]$/, '$1').toLowerCase()
  const family = isIP(bare)
  if (family === 0) return bare === 'localhost'
  return addresses.check(bare, family === 6 ? 'ipv6' : 'ipv4')
}

// Each of them is what a proxy adds, and none is what a browser or a script of one's own sends.
const PROXY_HEADER = /^(forwarded|via|x-real-ip|x-forwarded.*)$/

/**
 * What is wrong with where a request comes from, for what is meant for the page of who sits at this machine and nobody
 * else; undefined where nothing is.
 */
export function faultOf({ socket, headers }: Pick<FastifyRequest, 'socket' | 'headers'>): string | undefined {
  // The peer itself, whatever a proxy says of it; and what a proxy brings is not from here.
  if (!isLoopback(socket.remoteAddress ?? '')) return 'only from this machine'
  if (Object.keys(headers).some((name) => PROXY_HEADER.test(name))) return 'not through a proxy'
  // A name of somebody else's that leads here would make their pages same-origin.
  const { host = '', origin, 'sec-fetch-site': site } = headers
  if (!isLoopback(host.replace(/:\d+$/, ''))) return 'only by a loopback name'
  // No browser: nothing tells it from what a plain tunnel brings from elsewhere.
  if (origin === undefined && site === undefined) return 'only from the page'
  if (origin !== undefined && hostOf(origin) !== host.toLowerCase()) return 'only from the page'
  if (site !== undefined && site !== 'same-origin') return 'only from the page'
  return undefined
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined
}
