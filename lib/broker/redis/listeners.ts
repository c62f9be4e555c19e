import { setTimeout as delay } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { UnavailableError } from '../../errors.ts'
import { errorWord } from './errors.ts'
import { RedisListener, type RedisListenerOptions } from './listener.ts'
import type { RedisClient } from './options.ts'
import type { RedisServers } from './servers.ts'

// Milliseconds until the slots are read again: after a slot has moved, the servers of a cluster learn it one by one.
const RECHECK_DELAY = 50

/** The name of the server if there is no cluster. */
export const SINGLE = ''

type SingleListenerOptions = 'create' | 'probe' | 'adopted' | 'lost' | 'moved'

export interface RedisListenersOptions extends Omit<RedisListenerOptions, SingleListenerOptions> {
  /** Returns a client that is not connected yet. In a cluster, it connects to the same server as `node`. */
  create(node?: Redis): RedisClient
  /** The node's own topic in the slot of the tag. */
  probeTopic(tag: string): string
  probe(server: string, topic: string, message: string): Promise<unknown>
  /** A new connection listens to the server now. */
  adopted(server: string): void
  lost(server: string, error: unknown): void
  /** Messages of these topics may have been missed. */
  missed(topics: readonly string[]): void
}

/**
 * Listens to every server with one connection each, and subscribes each topic at the server that has its slot. If a
 * server is unavailable, the topics of other servers are not affected.
 */
export class RedisListeners {
  readonly #options: RedisListenersOptions
  readonly #listeners = new Map<string, RedisListener>()
  /** Topics that are being added, each with a symbol for its latest `add`. */
  readonly #pendingAdds = new Map<string, symbol>()
  /** Listeners whose server may have unsubscribed a topic because its slot has moved. */
  readonly #toRecheck = new Set<RedisListener>()
  #rechecking: Promise<void> | undefined
  #servers: RedisServers | undefined
  #isStarted = false
  #isClosed = false
  #resolveAttempted!: () => void
  /** Resolves when each listener has attempted to connect, and at least one listens. */
  readonly #attempted: Promise<void>

  constructor(options: RedisListenersOptions) {
    this.#options = options
    this.#attempted = new Promise((resolve) => {
      this.#resolveAttempted = resolve
    })
    if (!options.isCluster) this.#open(SINGLE).probeTopic = options.probeTopic('')
  }

  /** True while a connection listens to the server. */
  isListening(server: string): boolean {
    return this.#listeners.get(server)?.client !== undefined
  }

  /** The topics of a server, or of all servers. */
  topics(server?: string): readonly string[] {
    const listeners = [...this.#listeners].filter(([name]) => server === undefined || name === server)
    return listeners.flatMap(([, { subscriptions }]) => subscriptions.topics)
  }

  /** Resolves when it listens to the server. In a cluster: when it tried to connect to each, and listens to one. */
  async start(): Promise<void> {
    this.#isStarted = true
    const listeners = [...this.#listeners.values()]
    await Promise.race([Promise.all(listeners.map((listener) => listener.start())), this.#attempted])
    for (const listener of listeners) listener.probe()
  }

  /** Rejects with `FST_RT_UNAVAILABLE` if the topic could not be subscribed. */
  async add(topic: string): Promise<void> {
    const request = Symbol()
    this.#pendingAdds.set(topic, request)
    try {
      while (this.#pendingAdds.get(topic) === request) {
        const listener = this.#listenerOf(topic)
        try {
          if (listener === undefined) throw new UnavailableError()
          await listener.subscriptions.add(topic)
          return
        } catch (error) {
          if (isMoved(error)) await this.#servers?.refresh()
          // Tries again only if the slot has a different server now.
          if (this.#listenerOf(topic) === listener) break
        }
      }
    } finally {
      if (this.#pendingAdds.get(topic) === request) this.#pendingAdds.delete(topic)
    }
    throw new UnavailableError()
  }

  async remove(topic: string): Promise<void> {
    this.#pendingAdds.delete(topic)
    const holders = [...this.#listeners.values()].filter(({ subscriptions }) => subscriptions.has(topic))
    await Promise.all(holders.map(({ subscriptions }) => subscriptions.remove(topic)))
  }

  /** Called if slots may have moved: opens and closes listeners, and moves topics to the servers of their slots. */
  rebalance(servers: RedisServers): void {
    this.#servers = servers
    for (const server of servers.names) this.#ensureListener(servers, server)
    for (const [server, listener] of this.#listeners) {
      const isRemoved = !servers.names.has(server)
      if (isRemoved) listener.probeTopic = undefined
      this.#moveTopics(listener)
      // A topic whose slot has no server stays with its listener until the slot has one.
      if (!isRemoved || listener.subscriptions.topics.length > 0) continue
      this.#listeners.delete(server)
      listener.close()
    }
  }

  replace(): void {
    for (const listener of this.#listeners.values()) listener.replace()
  }

  close(): void {
    this.#isClosed = true
    for (const listener of this.#listeners.values()) listener.close()
  }

  #listenerOf(topic: string): RedisListener | undefined {
    const server = this.#options.isCluster ? this.#servers?.ownerOf(topic) : SINGLE
    return this.#listeners.get(server as string)
  }

  #open(server: string, node?: Redis): RedisListener {
    const { create, probe, adopted, lost, missed, failed, ...common } = this.#options
    const listener = new RedisListener({
      ...common,
      create: () => create(node),
      failed: (error) => {
        // The server no longer has the slots of some topics.
        if (isMoved(error)) void this.#servers?.refresh()
        failed(error)
      },
      probe: (topic, message) => probe(server, topic, message),
      adopted: () => {
        this.#checkAttempted()
        adopted(server)
        missed(listener.subscriptions.topics)
      },
      lost: (error) => {
        this.#checkAttempted()
        lost(server, error)
      },
      moved: () => this.#scheduleRecheck(listener)
    })
    this.#listeners.set(server, listener)
    return listener
  }

  #ensureListener(servers: RedisServers, server: string): void {
    let listener = this.#listeners.get(server)
    if (listener === undefined) {
      listener = this.#open(server, servers.nodeOf(server))
      if (this.#isStarted) {
        listener.replace()
        listener.probe()
      }
    }
    // The probe's topic is kept as long as the server has its slot.
    if (listener.probeTopic !== undefined && servers.ownerOf(listener.probeTopic) === server) return
    const tag = servers.tagOf(server)
    listener.probeTopic = tag && this.#options.probeTopic(tag)
    if (listener.probeTopic !== undefined) void this.#renew(listener, [listener.probeTopic])
  }

  /** Moves topics of a listener to the listeners that have their slots now. */
  #moveTopics(from: RedisListener): void {
    const moved = new Map<RedisListener, string[]>()
    for (const topic of from.subscriptions.topics) {
      const to = this.#listenerOf(topic)
      if (to === undefined || to === from) continue
      const topics = moved.get(to) ?? []
      moved.set(to, topics)
      topics.push(topic)
    }
    for (const [to, topics] of moved) {
      from.subscriptions.exchange(topics, [])
      to.subscriptions.exchange([], topics)
      void this.#renew(to, topics)
    }
  }

  async #renew(listener: RedisListener, topics: readonly string[]): Promise<void> {
    try {
      await listener.subscriptions.renew(topics)
    } catch (error) {
      if (isMoved(error)) this.#scheduleRecheck(listener)
      else listener.replace()
      return
    }
    // Without a client nothing was subscribed. `adopted` reports the topics when the next client is subscribed to them.
    if (listener.client !== undefined) this.#options.missed(topics)
  }

  #scheduleRecheck(listener: RedisListener): void {
    this.#toRecheck.add(listener)
    this.#rechecking ??= this.#recheck().finally(() => {
      this.#rechecking = undefined
    })
  }

  /**
   * Reads the slots again and subscribes all topics of a listener again. A server reports that a topic has moved, but
   * neither which topic nor where to.
   */
  async #recheck(): Promise<void> {
    while (this.#toRecheck.size > 0 && !this.#isClosed) {
      await this.#servers?.refresh()
      const listeners = [...this.#toRecheck]
      this.#toRecheck.clear()
      await Promise.all(listeners.map((listener) => this.#renew(listener, listener.subscriptions.topics)))
      if (this.#toRecheck.size > 0) await delay(RECHECK_DELAY, undefined, { ref: false })
    }
  }

  #checkAttempted(): void {
    const listeners = [...this.#listeners.values()]
    const haveAllAttempted = listeners.every(({ hasAttempted }) => hasAttempted)
    if (haveAllAttempted && listeners.some(({ client }) => client)) this.#resolveAttempted()
  }
}

function isMoved(error: unknown): boolean {
  return errorWord(error) === 'MOVED'
}
