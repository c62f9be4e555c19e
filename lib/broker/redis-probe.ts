import { setTimeout as delay } from 'node:timers/promises'

export interface RedisProbeOptions {
  /** Milliseconds between two probes, ±10 %. A probe is unheard after a quarter of it. */
  readonly interval: number
  /** The node's own pub/sub channels, one for each connection that listens; none while there is none. */
  wires(): readonly string[]
  /** Publishes to one of them by the connection for commands. */
  send(wire: string, message: string): Promise<unknown>
  /** How much has come in on the connection that listens. */
  received(): number
  /** Two probes on end were sent and not heard. */
  deaf(): void
}

// Probes on end that may be behind other messages. One that is further behind is better off with a new connection, and
// with what it missed read from history.
const MAX_EXCUSED = 4

/**
 * Notices a subscriber that hears nothing although its connection seems well: the node publishes to itself and
 * listens. A probe that could not be sent says nothing about the subscriber.
 */
export class RedisProbe {
  readonly #options: RedisProbeOptions
  readonly #stopping = new AbortController()
  readonly #unheard = new Set<string>()
  #answered: (() => void) | undefined
  #number = 0
  #excused = 0

  constructor(options: RedisProbeOptions) {
    this.#options = options
  }

  /** Runs until `stop`. */
  async run(): Promise<void> {
    const { interval, deaf } = this.#options
    while (await this.#wait(interval * (0.9 + Math.random() * 0.2))) {
      if ((await this.#isDeaf()) && (await this.#isDeaf())) deaf()
    }
  }

  stop(): void {
    this.#stopping.abort()
  }

  /** A message came in on one of the node's own channels. */
  heard(wire: string, message: string): void {
    if (message !== `${this.#number}`) return
    this.#unheard.delete(wire)
    if (this.#unheard.size === 0) this.#answered?.()
  }

  async #isDeaf(): Promise<boolean> {
    const wires = this.#options.wires()
    if (wires.length === 0) return false
    const message = `${++this.#number}`
    const before = this.#options.received()
    this.#unheard.clear()
    for (const wire of wires) this.#unheard.add(wire)
    const answered = new Promise<void>((resolve) => {
      this.#answered = resolve
    })
    try {
      await Promise.all(wires.map((wire) => this.#options.send(wire, message)))
    } catch {
      // The other connection's trouble, which shows there.
      return false
    }
    await Promise.race([answered, this.#wait(this.#options.interval / 4)])
    // What has arrived while the process was busy is read before it is judged.
    await new Promise(setImmediate)
    if (this.#unheard.size === 0) this.#excused = 0
    if (this.#unheard.size === 0 || this.#stopping.signal.aborted) return false
    // Something large is on its way, and the probe comes after it.
    return this.#options.received() === before || ++this.#excused > MAX_EXCUSED
  }

  /** False where it was stopped meanwhile. */
  async #wait(milliseconds: number): Promise<boolean> {
    try {
      await delay(milliseconds, undefined, { signal: this.#stopping.signal, ref: false })
      return true
    } catch {
      // The only thing that a delay rejects with is that it was aborted.
      return false
    }
  }
}

/** A run of hash slots and the server that has them. */
export type SlotRange = readonly [first: number, last: number, server: readonly [host: string, port: number]]

/** One tag for each server of a cluster, in a slot that it has: as `CLUSTER SLOTS` tells. */
export function tagsByServer(ranges: readonly SlotRange[], slotOf: (tag: string) => number): string[] {
  const servers = new Set(ranges.map(([, , server]) => `${server[0]}:${server[1]}`))
  const tags = new Map<string, string>()
  // A server may have one slot of 16,384; tags fall on them by chance, so this many find it almost surely.
  for (let tag = 0; tags.size < servers.size && tag < 200_000; tag++) {
    const slot = slotOf(`${tag}`)
    const range = ranges.find(([first, last]) => first <= slot && slot <= last)
    const server = range && `${range[2][0]}:${range[2][1]}`
    if (server && !tags.has(server)) tags.set(server, `${tag}`)
  }
  return [...tags.values()]
}
