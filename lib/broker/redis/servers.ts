import type { Cluster, Redis } from 'ioredis'
import { redisSlot } from './slot.ts'

const SLOTS = 16_384
// Names that are tried until one falls into a slot. A server may have one slot of all; this many find it almost surely.
const MAX_TRIES = 200_000

export interface RedisServersOptions {
  /** Milliseconds until a server that could not be connected to is tried again, with up to half of it in jitter. */
  readonly retry: number
  /** Slots have another server than before. */
  moved(): void
  /** A server is connected, or not any more. */
  changed(): void
}

/**
 * The masters of a cluster, as one client of it knows them: which has which slots, and whether the client is connected
 * to it. A server is named by its host and port.
 *
 * ioredis connects to a server when the first command for it comes, and rejects that command as it rejects one whose
 * answer was lost. Here the connections are made ahead, so that a command for a server that is away is not sent at all.
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
    client.on('-node', () => this.#gone())
    client.on('refresh', () => {
      if (this.#learn()) options.moved()
    })
    client.once('end', () => {
      this.#ended = true
      clearTimeout(this.#timer)
    })
    for (const node of client.nodes('all')) this.#add(node)
    this.#learn()
  }

  /** Those that have slots. */
  get names(): ReadonlySet<string> {
    return this.#names
  }

  /** The server of a key or a pub/sub channel. None if nobody has its slot. */
  ownerOf(key: string): string | undefined {
    return this.#owners[redisSlot(key)]
  }

  isConnected(server: string): boolean {
    return this.#nodes.get(server)?.status === 'ready'
  }

  /** False if a command for this key cannot be sent. If nobody has its slot, Redis says so. */
  isReachable(key: string): boolean {
    const owner = this.ownerOf(key)
    return owner === undefined || this.isConnected(owner)
  }

  /** The connection to a server, connected or not. */
  nodeOf(server: string): Redis {
    return this.#nodes.get(server) as Redis
  }

  /** A tag in one of a server's slots. None if no tag falls on them. */
  tagOf(server: string): string | undefined {
    for (let tag = 0; tag < MAX_TRIES; tag++) if (this.ownerOf(`${tag}`) === server) return `${tag}`
    return undefined
  }

  /** A tag whose server is connected, if there is one. */
  reachableTag(): string | undefined {
    const server = [...this.#names].find((name) => this.isConnected(name))
    return server && this.tagOf(server)
  }

  /** Resolves once each server is connected, or could not be; or after so many milliseconds. */
  async tried(timeout: number): Promise<void> {
    const all = Promise.all([...this.#names].map((server) => settled(this.nodeOf(server))))
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, timeout)
    })
    await Promise.race([all, late])
    clearTimeout(timer)
  }

  /** Asks one server, whichever it is, which has which slots. It may not know of the latest change yet. */
  refresh(): Promise<void> {
    return new Promise((resolve) => this.#client.refreshSlotsCache(() => resolve()))
  }

  #add(node: Redis): void {
    this.#nodes.set(nameOf(node), node)
    node.once('ready', () => this.#options.changed())
  }

  #gone(): void {
    this.#options.changed()
    this.#retry()
  }

  #retry(): void {
    if (this.#timer !== undefined || this.#ended) return
    const { retry } = this.#options
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined
        // ioredis makes a connection for each server of the answer that has none. There may be no answer.
        void this.refresh().then(() => {
          if ([...this.#names].some((name) => !this.isConnected(name))) this.#retry()
        })
      },
      retry / 2 + (Math.random() * retry) / 2
    ).unref()
  }

  /** True if a slot has another server than before. */
  #learn(): boolean {
    const before = this.#owners
    this.#owners = Array.from({ length: SLOTS }, (_, slot) => {
      const owner = this.#client.slots[slot]?.[0]
      return this.#nodes.has(owner as string) ? owner : undefined
    })
    this.#names = new Set(this.#owners.filter((owner) => owner !== undefined))
    for (const [name, node] of this.#nodes) {
      if (!this.#names.has(name)) {
        if (node.status === 'end') this.#nodes.delete(name)
      } else if (node.status === 'wait') node.connect().catch(unheard)
    }
    return this.#owners.some((owner, slot) => owner !== before[slot])
  }
}

// `-node` says that it failed.
function unheard(): void {}

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
