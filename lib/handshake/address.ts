import { isIPv6 } from 'node:net'

// Prefixes of IPv6 addresses that represent an IPv4 address: mapped (RFC 4291), translated (RFC 6052).
const MAPPED = '0:0:0:0:0:ffff'
const TRANSLATED = '64:ff9b:0:0:0:0'
const GROUPS = 8
// `[2001:db8::1]:49152`, `[2001:db8::1]` and `192.0.2.1:49152`.
const WITH_PORT = /^(?:\[(.+)\](?::\d+)?|(\d+\.\d+\.\d+\.\d+):\d+)$/
const NETWORK_GROUPS = 4

/**
 * The key under which connections from a remote address are counted. A customer with IPv6 has at least a /64, which is
 * 2^64 addresses: all of them have one key. An IPv4 address has one key in all its forms. Some proxies add the client's
 * port, which is different for each connection: the key does not contain it.
 */
export function addressKey(peer: string): string {
  if (!peer.includes(':')) return peer
  const [, ipv6, ipv4] = WITH_PORT.exec(peer) ?? []
  const address = ipv6 ?? ipv4 ?? peer
  if (!isIPv6(address)) return address
  const groups = groupsOf(address)
  const prefix = groups.slice(0, -2).join(':')
  if (prefix === MAPPED || prefix === TRANSLATED) return dotted(groups)
  return `${groups.slice(0, NETWORK_GROUPS).join(':')}::/64`
}

/** The eight groups of an IPv6 address, in lower case and without leading zeros. */
function groupsOf(address: string): string[] {
  const [bare = ''] = address.toLowerCase().split('%')
  const [head = '', tail] = bare.replace(/\d+\.\d+\.\d+\.\d+$/, hexadecimal).split('::')
  const before = split(head)
  const after = split(tail ?? '')
  const zeros = Array<string>(GROUPS - before.length - after.length).fill('0')
  return [...before, ...zeros, ...after]
}

function split(groups: string): string[] {
  return groups === '' ? [] : groups.split(':').map((group) => group.replace(/^0+(?=.)/, ''))
}

/** Converts an IPv4 address at the end of an IPv6 address into its two groups. */
function hexadecimal(ipv4: string): string {
  const [a = 0, b = 0, c = 0, d = 0] = ipv4.split('.').map(Number)
  return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`
}

function dotted(groups: readonly string[]): string {
  const bytes = groups.slice(-2).flatMap((group) => {
    const group16 = Number.parseInt(group, 16)
    return [group16 >> 8, group16 & 255]
  })
  return bytes.join('.')
}
