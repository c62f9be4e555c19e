import { setTimeout as sleep } from 'node:timers/promises'
import type { Greeting } from './load/connection.ts'
import type { LoadSample, Wording } from './load/generator.ts'
import type { StreamForm } from './load/stream-counter.ts'
import { LoadProcess, RedisProcess, ServerProcess, type Usage } from './processes.ts'
import type { Measured } from './row.ts'

// Milliseconds between two looks at how much CPU time the servers have used, and how long that may take at most.
const POLL = 50
const PATIENCE = 15_000

/** A server that takes part in a row, and how clients talk to it. */
export interface Subject {
  readonly name: string
  /** Its file in `servers/`. */
  readonly server: string
  /** Path of the subscribers, or of all connections. */
  readonly path: string
  /** Offered as Sec-WebSocket-Protocol, by one connection after the other. */
  readonly offers?: readonly string[]
  /** Path of the publisher. @default `path` */
  readonly publisher?: string
  /** Processes of the server, each with a share of the connections. @default 1 */
  readonly nodes?: number
  /** A Redis connects them, and its CPU time counts too. @default false */
  readonly redis?: boolean
  /** What a client of its protocol sends first: the subscribers in turn, and the publisher. */
  readonly greetings?: readonly Greeting[]
  readonly publisherGreeting?: Greeting
  /** The subscribers are requests over HTTP, and this is the form of their responses. @default WebSockets */
  readonly form?: StreamForm
  /** What its protocol has around a published message. */
  readonly wording?: Wording
}

export interface Watched extends Omit<Measured, 'value'> {
  /** Received meanwhile. */
  readonly messages: number
  readonly pings: number
  /** Seconds of the servers and of Redis. */
  readonly cpu: number
  readonly time: number
}

/** Fresh servers and a fresh load generator, and how to measure with them. */
export class Bench {
  readonly load: LoadProcess
  readonly #subject: Subject
  readonly #servers: readonly ServerProcess[]
  readonly #redis: RedisProcess | undefined

  private constructor(
    subject: Subject,
    servers: readonly ServerProcess[],
    redis: RedisProcess | undefined,
    load: LoadProcess
  ) {
    this.#subject = subject
    this.#servers = servers
    this.#redis = redis
    this.load = load
  }

  /** Starts what the subject needs, lends it to `task`, and stops it. */
  static async use<Result>(subject: Subject, task: (bench: Bench) => Promise<Result>): Promise<Result> {
    const started: { stop(): Promise<void> }[] = []
    const note = async <Process extends { stop(): Promise<void> }>(starting: Promise<Process>): Promise<Process> => {
      const process = await starting
      started.push(process)
      return process
    }
    try {
      const redis = subject.redis ? await note(RedisProcess.start()) : undefined
      const servers: ServerProcess[] = []
      for (let node = 0; node < (subject.nodes ?? 1); node++) {
        servers.push(await note(ServerProcess.start(subject.server, redis ? { REDIS_URL: redis.url } : {})))
      }
      const load = await note(LoadProcess.start())
      return await task(new Bench(subject, servers, redis, load))
    } finally {
      for (const process of started.reverse()) await process.stop()
    }
  }

  /** The first of the servers. */
  get server(): ServerProcess {
    return this.#servers[0] as ServerProcess
  }

  /** Opens connections to all servers in turn. */
  open(count: number): Promise<unknown> {
    const { greetings, path, offers, form } = this.#subject
    const targets = this.#servers.map(({ port }) => ({ port, path, form }))
    return this.load.run({ do: 'open', targets, count, offers, greetings })
  }

  /**
   * Publishes, so many messages at a time, for as long as the generator runs.
   * @param receivers Of each message. All connections if not given.
   */
  publish(burst: number, receivers?: number): Promise<unknown> {
    return this.load.run({ do: 'publish', target: this.#publisher, burst, receivers, ...this.#subject.wording })
  }

  /** Publishes to all connections at a rate. Resolves to how late the messages arrived. */
  async publishAt(perSecond: number, seconds: number): Promise<NonNullable<LoadSample['latency']>> {
    const { wording } = this.#subject
    const { latency } = await this.load.run({ do: 'rate', target: this.#publisher, perSecond, seconds, ...wording })
    if (latency === undefined) throw new Error('No message arrived')
    return latency
  }

  /** The 99th percentile of how late they arrive, in milliseconds. */
  async latency(perSecond: number, seconds: number): Promise<Measured> {
    let p99 = 0
    const watched = await this.watch(async () => {
      p99 = (await this.publishAt(perSecond, seconds)).p99
    })
    return measured(watched, p99)
  }

  get #publisher() {
    const { publisher, path, publisherGreeting, offers } = this.#subject
    return { port: this.server.port, path: publisher ?? path, greeting: publisherGreeting, protocols: offers?.[0] }
  }

  /** Watches what `task` costs, and which process was busy. */
  async watch(task: () => Promise<unknown>): Promise<Watched> {
    const generatorDelay = this.load.delay()
    const before = await this.load.run({ do: 'sample' })
    const usageBefore = await this.#usage()
    await task()
    const after = await this.load.run({ do: 'sample' })
    const usage = await this.#usage()
    const time = after.time - before.time
    const cpu = usage.cpu - usageBefore.cpu
    const delay = Math.max(usage.delay - usageBefore.delay, this.load.delay() - generatorDelay)
    return {
      messages: after.messages - before.messages,
      pings: after.pings - before.pings,
      cpu,
      time,
      generator: (after.busy - before.busy) / time,
      server: cpu / time,
      contention: delay / time
    }
  }

  /** Watches warm servers for so long. Both times are CPU seconds. */
  async watchFor(warmUp: number, time: number): Promise<Watched> {
    await this.#spend(warmUp)
    const watched = await this.watch(() => this.#spend(time))
    if (watched.messages === 0) throw new Error('No message arrived')
    return watched
  }

  /** Messages per CPU second. */
  async throughput(warmUp: number, time: number): Promise<Measured> {
    const watched = await this.watchFor(warmUp, time)
    return measured(watched, watched.messages / watched.cpu)
  }

  /** Of all servers and Redis. If they are several, they share a core and wait for each other: that is no contention. */
  async #usage(): Promise<Usage> {
    const processes = [...this.#servers, ...(this.#redis ? [this.#redis] : [])]
    const usages = await Promise.all(processes.map((process) => process.usage()))
    const cpu = usages.reduce((sum, usage) => sum + usage.cpu, 0)
    return { cpu, delay: processes.length > 1 ? 0 : (usages[0] as Usage).delay }
  }

  /** Waits until the servers have used so many CPU seconds. If others have the CPU, that takes longer. */
  async #spend(seconds: number): Promise<void> {
    const until = performance.now() + PATIENCE
    const { cpu } = await this.#usage()
    while ((await this.#usage()).cpu - cpu < seconds && performance.now() < until) await sleep(POLL)
  }
}

/** A value with the shares of the time in which it was measured. */
export function measured({ generator, server, contention }: Watched, value: number): Measured {
  return { value, generator, server, contention }
}
