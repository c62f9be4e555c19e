import { setTimeout as sleep } from 'node:timers/promises'
import type { Greeting } from './load/connection.ts'
import type { LoadSample, Wording } from './load/generator.ts'
import { LoadProcess, RedisProcess, ServerProcess, type Usage } from './processes.ts'

// How often it is looked how much CPU time the server has used, and how long at most it may take to.
const POLL = 50
const PATIENCE = 15_000

/** What is measured of one server in one run. */
export interface Measured {
  /** The row's figure. */
  readonly value: number
  /** Share of the time in which the load generator had something to do; close to 1, it is what was measured. */
  readonly generator?: number
  /** Share of the time in which the server was on the CPU. */
  readonly server?: number
  /** Share of the time in which server or generator waited for the CPU that another process had. */
  readonly contention: number
}

/** A server that takes part in a row. */
export interface Subject {
  readonly name: string
  /** Its file in `servers/`. */
  readonly server: string
  /** Where the subscribers, or all connections, go. */
  readonly path: string
  /** Where the publisher goes. */
  readonly publisher?: string
  /** How many processes of the server, each with a share of the connections. @default 1 */
  readonly nodes?: number
  /** Whether they have a Redis between them, whose CPU time counts too. @default false */
  readonly redis?: boolean
  /** What its protocol wants said first, by subscribers and by the publisher. */
  readonly greeting?: Greeting
  readonly publisherGreeting?: Greeting
  /** What its protocol has around a published message. */
  readonly wording?: Wording
}

/** One question that the benchmark answers. A file in `rows/` each. */
export interface Row {
  readonly name: string
  readonly title: string
  /** Of the figure. */
  readonly unit: string
  readonly better: 'more' | 'less'
  readonly subjects: readonly Subject[]
  /** The subject that the others are compared with. */
  readonly control: string
  /** What is expected of a subject, as a ratio to the control. */
  readonly expected: Readonly<Record<string, number>>
  measure(bench: Bench, subject: Subject): Promise<Measured>
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

  /** One run of one subject. */
  static async measure(row: Row, subject: Subject): Promise<Measured> {
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
        servers.push(await note(ServerProcess.start(subject.server, redis?.url)))
      }
      const load = await note(LoadProcess.start())
      return await row.measure(new Bench(subject, servers, redis, load), subject)
    } finally {
      for (const process of started.reverse()) await process.stop()
    }
  }

  /** The first of the servers. */
  get server(): ServerProcess {
    return this.#servers[0] as ServerProcess
  }

  /** Opens connections to all servers in turn. */
  open(path: string, count: number, protocols?: readonly string[]): Promise<unknown> {
    const { greeting } = this.#subject
    const targets = this.#servers.map(({ port }) => ({ port, path, greeting }))
    return this.load.run({ do: 'open', targets, count, protocols })
  }

  /** Publishes to all connections, so many messages at a time, for as long as the generator runs. */
  publish(burst: number): Promise<unknown> {
    return this.load.run({ do: 'publish', target: this.#publisher, burst, ...this.#subject.wording })
  }

  /** Publishes to all connections at a rate; says how late the messages arrived. */
  async publishAt(perSecond: number, seconds: number): Promise<NonNullable<LoadSample['latency']>> {
    const { wording } = this.#subject
    const { latency } = await this.load.run({ do: 'rate', target: this.#publisher, perSecond, seconds, ...wording })
    if (latency === undefined) throw new Error('No message arrived')
    return latency
  }

  get #publisher() {
    const { publisher, path, publisherGreeting } = this.#subject
    return { port: this.server.port, path: publisher ?? path, greeting: publisherGreeting }
  }

  /** Watches what `task` costs: messages received, CPU seconds of the servers, and who was busy. */
  async watch(task: () => Promise<unknown>): Promise<{ messages: number; cpu: number } & Omit<Measured, 'value'>> {
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
      cpu,
      generator: (after.busy - before.busy) / time,
      server: cpu / time,
      contention: delay / time
    }
  }

  /** Messages per CPU second of the servers, once they are warm. Both times are CPU seconds. */
  async throughput(warmUp: number, time: number): Promise<Measured> {
    await this.#spend(warmUp)
    const { messages, cpu, ...rest } = await this.watch(() => this.#spend(time))
    if (messages === 0) throw new Error('No message arrived')
    return { value: messages / cpu, ...rest }
  }

  /** Of all servers and Redis. Several of them share a core, and wait for each other: that is no contention. */
  async #usage(): Promise<Usage> {
    const processes = [...this.#servers, ...(this.#redis ? [this.#redis] : [])]
    const usages = await Promise.all(processes.map((process) => process.usage()))
    const cpu = usages.reduce((sum, usage) => sum + usage.cpu, 0)
    return { cpu, delay: processes.length > 1 ? 0 : (usages[0] as Usage).delay }
  }

  /** Waits until the servers have used so many CPU seconds: where others have the CPU, that takes longer. */
  async #spend(seconds: number): Promise<void> {
    const until = performance.now() + PATIENCE
    const { cpu } = await this.#usage()
    while ((await this.#usage()).cpu - cpu < seconds && performance.now() < until) await sleep(POLL)
  }
}
