import { setTimeout as sleep } from 'node:timers/promises'
import { LoadProcess, ServerProcess } from './processes.ts'

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

/** A fresh server and a fresh load generator, and how to measure with them. */
export class Bench {
  readonly server: ServerProcess
  readonly load: LoadProcess

  private constructor(server: ServerProcess, load: LoadProcess) {
    this.server = server
    this.load = load
  }

  /** One run of one subject. */
  static async measure(row: Row, subject: Subject): Promise<Measured> {
    const server = await ServerProcess.start(subject.server)
    try {
      const load = await LoadProcess.start()
      try {
        return await row.measure(new Bench(server, load), subject)
      } finally {
        await load.stop()
      }
    } finally {
      await server.stop()
    }
  }

  open(path: string, count: number, protocols?: readonly string[]): Promise<unknown> {
    return this.load.run({ do: 'open', target: { port: this.server.port, path }, count, protocols })
  }

  /** Watches what `task` costs: messages received, server CPU seconds, and who was busy. */
  async watch(task: () => Promise<unknown>): Promise<{ messages: number; cpu: number } & Omit<Measured, 'value'>> {
    const generatorDelay = this.load.delay()
    const before = await this.load.run({ do: 'sample' })
    const usageBefore = await this.server.usage()
    await task()
    const after = await this.load.run({ do: 'sample' })
    const usage = await this.server.usage()
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

  /** Messages per CPU second of the server, once it is warm. Both times are the server's CPU seconds. */
  async throughput(warmUp: number, time: number): Promise<Measured> {
    await this.#spend(warmUp)
    const { messages, cpu, ...rest } = await this.watch(() => this.#spend(time))
    if (messages === 0) throw new Error('No message arrived')
    return { value: messages / cpu, ...rest }
  }

  /** Waits until the server has used so many CPU seconds: where others have the CPU, that takes longer. */
  async #spend(seconds: number): Promise<void> {
    const until = performance.now() + PATIENCE
    const { cpu } = await this.server.usage()
    while ((await this.server.usage()).cpu - cpu < seconds && performance.now() < until) await sleep(POLL)
  }
}
