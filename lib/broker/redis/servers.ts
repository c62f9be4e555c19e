import type { Cluster, Redis } from 'ioredis'
import { redisSlot } from './slot.ts'

const SLOTS = 16_384
// Tags that are tried until one is in a slot of the server. Even if the server has only one slot, one is almost surely
// found.
const MAX_TRIES = 200_000

export interface RedisServersOptions {
  /** Milliseconds until the next attempt after a failed connection to a server. Up to half of it is jitter. */
  readonly retry: number
  /** Some slots have a different server than before. */
  moved(): void
  /** A server was connected or disconnected. */
  changed(): void
}

/**
 * The masters of a cluster, as one client knows them: the slots of each master, and whether the client is connected to
 * it. The name of a server is its host and port.
 *
 * ioredis connects to a server for the first command. If that fails, it rejects the command with the same error as a
 * command whose answer was lost. Here all connections are made in advance, so a command for a server that is not
 * connected is never sent.
 */
export class RedisServers {
  readonly #client: Cluster
  readonly #options: RedisServersOptions
  readonly #nodes = new Map<string, Redis>()
  #owners: readonly (string | undefined)[] = []
  #names: ReadonlySet<string> = new Set()
  #timer: NodeJS.Timeout | undefined
  #ended = false

  /** @param client Connected. */
  constructor(client: Cluster, options: RedisServersOptions) {
    this.#client = client
    this.#options = options
    client.on('+node', (node: Redis) => this.#add(node))
    client.on('-node', () => this.#disconnected())
    client.on('refresh', () => {
      if (this.#readSlots()) options.moved()
    })
    client.once('end', () => {
      this.#ended = true
      clearTimeout(this.#timer)
    })
    for (const node of client.nodes('all')) this.#add(node)
    this.#readSlots()
  }

  /** The servers that have slots. */
  get names(): ReadonlySet<string> {
    return this.#names
  }

  /** The server of a key or topic. Undefined if no server has its slot. */
  ownerOf(key: string): string | undefined {
    return this.#owners[redisSlot(key)]
  }

  isConnected(server: string): boolean {
    return this.#nodes.get(server)?.status === 'ready'
  }

  /** False if a command for this key cannot be sent. True if no server has its slot: Redis answers with an error. */
  isReachable(key: string): boolean {
    const owner = this.ownerOf(key)
    return owner === undefined || this.isConnected(owner)
  }

  /** The connection to a server, connected or not. */
  nodeOf(server: string): Redis {
    return this.#nodes.get(server) as Redis
  }

  /** A tag in one of the server's slots. Undefined if none is found. */
  tagOf(server: string): string | undefined {
    for (let tag = 0; tag < MAX_TRIES; tag++) if (this.ownerOf(`${tag}`) === server) return `${tag}`
    return undefined
  }

  /** A tag whose server is connected, if there is one. */
  reachableTag(): string | undefined {
    const server = [...this.#names].find((name) => this.isConnected(name))
    return server && this.tagOf(server)
  }

  /** Resolves when the attempt to connect to each server has ended, or after `timeout` milliseconds. */
  async attempted(timeout: number): Promise<void> {
    const all = Promise.all([...this.#names].map((server) => settled(this.nodeOf(server))))
    let timer: NodeJS.Timeout | undefined
    const timedOut = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, timeout)
    })
    await Promise.race([all, timedOut])
    clearTimeout(timer)
  }

  /** Asks any server which server has which slots. It may not know the latest change yet. */
  refresh(): Promise<void> {
    return new Promise((resolve) => this.#client.refreshSlotsCache(() => resolve()))
  }

  #add(node: Redis): void {
    this.#nodes.set(nameOf(node), node)
    node.once('ready', () => this.#options.changed())
  }

  #disconnected(): void {
    this.#options.changed()
    this.#retry()
  }

  #retry(): void {
    if (this.#timer !== undefined || this.#ended) return
    const { retry } = this.#options
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined
        // ioredis opens the missing connections to the servers in the answer. There may be no answer.
        void this.refresh().then(() => {
          if ([...this.#names].some((name) => !this.isConnected(name))) this.#retry()
        })
      },
      retry / 2 + (Math.random() * retry) / 2
    ).unref()
  }

  /** Reads the slots from the client. Returns true if a slot has a different server than before. */
  #readSlots(): boolean {
    const before = this.#owners
    this.#owners = Array.from({ length: SLOTS }, (_, slot) => {
      const owner = this.#client.slots[slot]?.[0]
      return this.#nodes.has(owner as string) ? owner : undefined
    })
    this.#names = new Set(this.#owners.filter((owner) => owner !== undefined))
    for (const [name, node] of this.#nodes) {
      if (!this.#names.has(name)) {
        if (node.status === 'end') this.#nodes.delete(name)
      } else if (node.status === 'wait') node.connect().catch(ignore)
    }
    return this.#owners.some((owner, slot) => owner !== before[slot])
  }
}

// The event `-node` reports the failure.
function ignore(): void {}

function nameOf({ options: { host, port } }: Redis): string {
  return `${host}:${port}`
}

function settled(node: Redis): Promise<void> {
  return new Promise((resolve) => {
    if (node.status === 'ready' || node.status === 'end') return resolve()
    node.once('ready', resolve)
    node.once('end', resolve)
  })
}
