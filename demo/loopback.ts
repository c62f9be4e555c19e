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

/**
 * Whether whoever sits at this machine asks: over loopback, for a host that is loopback too (a proxy on this machine
 * passes on the name that the world knows, and a page whose own name was turned to 127.0.0.1 comes with that), and,
 * where a browser says which page asks, for a page of ours.
 */
export function isAskedFromHere({ socket, headers }: Pick<FastifyRequest, 'socket' | 'headers'>): boolean {
  const { host = '', origin } = headers
  if (!isLoopback(socket.remoteAddress ?? '') || !isLoopback(hostnameOf(`http://${host}`))) return false
  return origin === undefined || (URL.canParse(origin) && new URL(origin).host === host.toLowerCase())
}

function hostnameOf(url: string): string {
  return URL.canParse(url) ? new URL(url).hostname : ''
}
