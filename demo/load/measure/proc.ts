import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/* Linux's information about processes under /proc. On other systems nothing is found. */

// The unit of the kernel's figures for user space, on every architecture.
const TICKS_PER_SECOND = 100
const LISTENING = '0A'

/** Processes with a socket that listens on this port. */
export function listenersOf(port: number): number[] {
  const tables = ['/proc/net/tcp', '/proc/net/tcp6'].map((path) => read(path) ?? '')
  const inodes = new Set(tables.flatMap((table) => listeningInodes(table, port)))
  return inodes.size === 0 ? [] : processes().filter((pid) => holds(pid, inodes))
}

/** The inodes of the sockets that listen on a port, in the kernel's table of TCP sockets. */
export function listeningInodes(table: string, port: number): string[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  return table.split('\n').flatMap((line) => {
    const [, local, , state, , , , , , inode] = line.trim().split(/\s+/)
    return local?.endsWith(suffix) === true && state === LISTENING && inode !== undefined ? [inode] : []
  })
}

/**
 * These processes, and the processes of the same program that they have started: in a cluster the primary process
 * listens, and the workers work. A tool that a server keeps running is not the server.
 */
export function withDescendants(pids: readonly number[]): number[] {
  const parents = new Map(processes().map((pid) => [pid, parentOf(pid)]))
  const found = new Set(pids)
  for (let before = -1; before < found.size; ) {
    before = found.size
    for (const [pid, parent] of parents) {
      if (parent !== undefined && found.has(parent) && programOf(pid) === programOf(parent)) found.add(pid)
    }
  }
  return [...found]
}

/** Seconds, of all threads, user and system; undefined if the process has ended. */
export function cpuOf(pid: number): number | undefined {
  const stat = statOf(pid)
  return stat && (Number(stat[11]) + Number(stat[12])) / TICKS_PER_SECOND
}

/** Bytes of resident memory. */
export function memoryOf(pid: number): number | undefined {
  const kibibytes = /^VmRSS:\s+(\d+) kB/m.exec(read(`/proc/${pid}/status`) ?? '')?.[1]
  return kibibytes === undefined ? undefined : Number(kibibytes) * 1024
}

/** How many files a process may open. */
export function fileLimitOf(pid: number): number | undefined {
  const limit = /^Max open files\s+(\S+)/m.exec(read(`/proc/${pid}/limits`) ?? '')?.[1]
  return limit === undefined || limit === 'unlimited' ? undefined : Number(limit)
}

function processes(): number[] {
  try {
    return readdirSync('/proc').map(Number).filter(Number.isInteger)
  } catch {
    return []
  }
}

function parentOf(pid: number): number | undefined {
  const parent = statOf(pid)?.[1]
  return parent === undefined ? undefined : Number(parent)
}

function programOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/exe`)
  } catch {
    return undefined
  }
}

/** The fields after the name, which may itself contain spaces and brackets. */
function statOf(pid: number): string[] | undefined {
  const stat = read(`/proc/${pid}/stat`)
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')
}

function holds(pid: number, inodes: ReadonlySet<string>): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1]
      return inode !== undefined && inodes.has(inode)
    })
  } catch {
    return false // another user's process, or it has ended meanwhile
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
