import { lookup } from 'node:dns/promises'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'

/* The conditions for thousands of connections: checked first, and reported with how to fix them. */

/** The run is not possible; the message says what would make it possible. */
export class RunError extends Error {
  override readonly name = 'RunError'
}

// Besides the connections: the process's own files, and connections that are just being replaced.
const SPARE_FILES = 100
const RAISING =
  'raise its hard limit (as root: ulimit -n N in the shell that starts it; in a container: --ulimit nofile=N; ' +
  'else /etc/security/limits.conf), or ask for fewer connections'
// If the system does not report its range: the IANA range for this purpose, which macOS and Windows use.
const DEFAULT_PORTS = 16_384
// Some are in use, or wait for the last packets of an earlier run.
const USABLE_PORTS = 0.9
// 127.0.0.1 to .250
const MOST_SOURCES = 250
const PROBE_TIMEOUT = 5_000

/** Throws a RunError unless this process may open a file for each connection. */
export function checkFileLimit(connections: number, limit = ownFileLimit()): void {
  const needed = connections + SPARE_FILES
  if (limit === undefined || limit >= needed) return
  throw new RunError(
    `${connections} connections need ${needed} file descriptors, and this process may open ${limit}: ${RAISING}`
  )
}

/** Throws a RunError if the server is one process of this machine, and may not open a file for each connection. */
export function checkServerFileLimit(
  connections: number,
  server: { readonly processes: number | undefined; readonly fileLimit: number | undefined } | undefined
): void {
  const needed = connections + SPARE_FILES
  // If there are several processes, each has an unknown share of the connections.
  if (server?.processes !== 1 || server.fileLimit === undefined || server.fileLimit >= needed) return
  throw new RunError(
    `${connections} connections need ${needed} file descriptors, and the server may open ${server.fileLimit}: ` +
      RAISING
  )
}

/** Node has raised its soft limit to the hard limit by now. Undefined if there is no limit. */
function ownFileLimit(): number | undefined {
  const report = process.report.getReport() as { userLimits?: { open_files?: { soft?: number | string } } }
  const soft = report.userLimits?.open_files?.soft
  return typeof soft === 'number' ? soft : undefined
}

/** Ports that one address of this machine has for connections to one port of another. */
export function portsPerAddress(range = readPortRange()): number {
  const [first, last] = range.trim().split(/\s+/).map(Number)
  const ports = (last as number) - (first as number) + 1
  return Math.floor((ports > 0 ? ports : DEFAULT_PORTS) * USABLE_PORTS)
}

function readPortRange(): string {
  try {
    return readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8')
  } catch {
    return '' // not Linux
  }
}

/**
 * The addresses to connect from; none if the system's choice is enough. One address has ports for some 25,000
 * connections to the same server; the whole of 127.0.0.0/8 is this machine. Throws a RunError if there are not enough.
 */
export function sourceAddresses(
  connections: number,
  address: string,
  ports = portsPerAddress(),
  platform: string = process.platform
): string[] {
  if (connections <= ports) return []
  const count = Math.ceil(connections / ports)
  if (!address.startsWith('127.') || platform !== 'linux' || count > MOST_SOURCES) {
    throw new RunError(
      `one address of this machine has ports for ${ports} connections to ${address}: ask for fewer, ` +
        'run the load from several machines, or (on Linux) on the server’s own machine against 127.0.0.1'
    )
  }
  return Array.from({ length: count }, (_, at) => `127.0.0.${at + 1}`)
}

/** The address behind a host's name that accepts connections. Throws a RunError if there is none. */
export async function reachableAddress(hostname: string, port: number): Promise<string> {
  const name = hostname.replace(/^\[|\]$/g, '')
  const found = await lookup(name, { all: true }).catch(() => [])
  if (found.length === 0) throw new RunError(`there is no host called ${name}: check --url`)
  for (const { address } of found) if (await accepts(address, port)) return address
  throw new RunError(
    `nothing answers on port ${port} of ${name}: start the server first (the demo: npm start), or check --url`
  )
}

async function accepts(host: string, port: number): Promise<boolean> {
  const socket = connect({ host, port })
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(PROBE_TIMEOUT) })
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
