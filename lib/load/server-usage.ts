/** What a server has used so far: seconds of CPU, and bytes of resident memory. */
export interface ServerSample {
  readonly cpu: number
  readonly memory: number
}

const TIMEOUT = 2_000

/** The two series that Prometheus's client libraries export of every process. Undefined if they are not there. */
function parseMetrics(text: string): ServerSample | undefined {
  const value = (name: string) => Number(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)`, 'm').exec(text)?.[1])
  const cpu = value('process_cpu_seconds_total')
  const memory = value('process_resident_memory_bytes')
  return Number.isFinite(cpu + memory) ? { cpu, memory } : undefined
}

/** Reads the `/metrics` of a server, for example at `http://127.0.0.1:3000`. Undefined if it has none. */
export async function sampleServer(origin: string): Promise<ServerSample | undefined> {
  try {
    const response = await fetch(`${origin}/metrics`, { signal: AbortSignal.timeout(TIMEOUT) })
    return parseMetrics(await response.text())
  } catch {
    return undefined // nothing answers in time
  }
}
