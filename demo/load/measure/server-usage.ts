import { networkInterfaces } from 'node:os'
import { cpuOf, fileLimitOf, listenersOf, memoryOf, withDescendants } from './proc.ts'

/** What a server has used so far. */
export interface ServerSample {
  /** Seconds of CPU, all processes and threads, user and system. */
  readonly cpu: number
  /** Bytes of resident memory. */
  readonly memory: number
}

/** The source of a server's figures. */
export interface ServerUsage {
  /** `process`: the kernel, for a server on this machine. `metrics`: the server's own figures at /metrics. */
  readonly source: 'process' | 'metrics'
  /** Processes, as far as known. */
  readonly processes: number | undefined
  /** Files that the listening process may open; undefined if unknown. */
  readonly fileLimit: number | undefined
  /** Milliseconds to wait between two samples, since a sample costs the server something. */
  readonly interval: number
  /** Undefined if it is not (or no longer) known. */
  sample(): Promise<ServerSample | undefined>
}

const METRICS_TIMEOUT = 2_000
const METRICS_INTERVAL = 5_000
// The kernel counts in hundredths of a second: at shorter intervals they would show as steps.
const PROCESS_INTERVAL = 1_000

/** Finds the server that listens there. Undefined if its usage cannot be known. */
export async function findServer(address: string, port: number, origin: string): Promise<ServerUsage | undefined> {
  return (isOwn(address) ? byProcess(port) : undefined) ?? (await byMetrics(`${origin}/metrics`))
}

/** Whether an address is this machine's: a port of another machine has nothing to do with the processes here. */
function isOwn(address: string): boolean {
  if (address.startsWith('127.') || address === '::1') return true
  return Object.values(networkInterfaces()).some((all) => all?.some((own) => own.address === address))
}

function byProcess(port: number): ServerUsage | undefined {
  const listeners = listenersOf(port)
  const [first] = listeners
  if (first === undefined) return undefined
  let pids = withDescendants(listeners)
  // Usage of processes that have ended: workers that were replaced.
  let past = 0
  let known = new Map<number, number>()
  return {
    source: 'process',
    get processes() {
      return pids.length
    },
    fileLimit: fileLimitOf(first),
    interval: PROCESS_INTERVAL,
    async sample() {
      const now = new Map<number, number>()
      for (const pid of pids) {
        const cpu = cpuOf(pid)
        if (cpu !== undefined) now.set(pid, cpu)
      }
      if (now.size < pids.length) {
        pids = withDescendants(listenersOf(port))
        for (const pid of pids) now.set(pid, cpuOf(pid) ?? 0)
      }
      if (pids.length === 0) return undefined
      for (const [pid, cpu] of known) if (!now.has(pid)) past += cpu
      known = now
      const cpu = [...now.values()].reduce((sum, seconds) => sum + seconds, past)
      const memory = pids.reduce((sum, pid) => sum + (memoryOf(pid) ?? 0), 0)
      return { cpu, memory }
    }
  }
}

async function byMetrics(url: string): Promise<ServerUsage | undefined> {
  const usage: ServerUsage = {
    source: 'metrics',
    processes: undefined,
    fileLimit: undefined,
    interval: METRICS_INTERVAL,
    sample: () => readMetrics(url)
  }
  return (await usage.sample()) === undefined ? undefined : usage
}

async function readMetrics(url: string): Promise<ServerSample | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(METRICS_TIMEOUT) })
    return response.ok ? parseMetrics(await response.text()) : undefined
  } catch {
    return undefined // it has no metrics, or does not show them: nothing is known
  }
}

/** The two series that Prometheus's client libraries export of every process. */
export function parseMetrics(text: string): ServerSample | undefined {
  const value = (name: string) => Number(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)`, 'm').exec(text)?.[1])
  const cpu = value('process_cpu_seconds_total')
  const memory = value('process_resident_memory_bytes')
  return Number.isFinite(cpu) && Number.isFinite(memory) ? { cpu, memory } : undefined
}
