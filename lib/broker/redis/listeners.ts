import { setTimeout as delay } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { UnavailableError } from '../../errors.ts'
import { errorWord } from './errors.ts'
import { RedisListener, type RedisListenerOptions } from './listener.ts'
import type { RedisClient } from './options.ts'
import type { RedisServers } from './servers.ts'

// Milliseconds until it is asked again who has a slot: the servers of a cluster learn of a move one after another.
const AGAIN = 50

/** The name of the one server that is no cluster. */
export const SINGLE = ''

type OfOne = 'create' | 'probe' | 'adopted' | 'lost' | 'moved'

export interface RedisListenersOptions extends Omit<RedisListenerOptions, OfOne> {
  /** A client that is not connected yet: of the one server, or of the one that a connection of a cluster is to. */
  create(node?: Redis): RedisClient
  /** The node's own channel in the slot of a tag. */
  probeWire(tag: string): string
  probe(server: string, wire: string, message: string): Promise<unknown>
  /** Listens to a server now, by another connection than before. */
  adopted(server: string): void
  lost(server: string, error: unknown): void
  /** Messages of these channels may have been missed. */
  missed(wires: readonly string[]): void
}

/**
 * Listens to every server, by one connection each, and has each channel subscribed where its slot is. If a server is
 * away, the channels of the others are not touched.
 */
export class RedisListeners {
  readonly #options: RedisListenersOptions
  readonly #listeners = new Map<string, RedisListener>()
  /** Channels that are being added, each with what stands for the wish. */
  readonly #wishes = new Map<string, symbol>()
  /** Those of which the server has unsubscribed a channel. */
  readonly #unsure = new Set<RedisListener>()
  #settling: Promise<void> | undefined
  #servers: RedisServers | undefined
  #isStarted = false
  #isClosed = false
  #areTried!: () => void
  readonly #tried: Promise<void>

  constructor(options: RedisListenersOptions) {
    this.#options = options
    this.#tried = new Promise((resolve) => {
      this.#areTried = resolve
    })
    if (!options.isCluster) this.#open(SINGLE).probeWire = options.probeWire('')
  }

  /** True while a connection listens to the server. */
  hears(server: string): boolean {
    return this.#listeners.get(server)?.client !== undefined
  }

  /** The channels of a server; without one, of all. */
  wires(server?: string): readonly string[] {
    const listeners = [...this.#listeners].filter(([name]) => server === undefined || name === server)
    return listeners.flatMap(([, { subscriptions }]) => subscriptions.wires)
  }

  /** Resolves once it listens to the server; in a cluster, once each server was tried and it listens to one. */
  async start(): Promise<void> {
    this.#isStarted = true
    const listeners = [...this.#listeners.values()]
    await Promise.race([Promise.all(listeners.map((listener) => listener.start())), this.#tried])
    for (const listener of listeners) listener.probe()
  }

  /** Rejects with `FST_RT_UNAVAILABLE` if the channel isn't subscribed afterwards. */
  async add(wire: string): Promise<void> {
    const wish = Symbol()
    this.#wishes.set(wire, wish)
    try {
      while (this.#wishes.get(wire) === wish) {
        const listener = this.#listenerOf(wire)
        try {
          if (listener === undefined) throw new UnavailableError()
          await listener.subscriptions.add(wire)
          return
        } catch (error) {
          if (isMoved(error)) await this.#servers?.refresh()
          // Its slot has another server by now.
          if (this.#listenerOf(wire) === listener) break
        }
      }
    } finally {
      if (this.#wishes.get(wire) === wish) this.#wishes.delete(wire)
    }
    throw new UnavailableError()
  }

  async remove(wire: string): Promise<void> {
    this.#wishes.delete(wire)
    const holders = [...this.#listeners.values()].filter(({ subscriptions }) => subscriptions.has(wire))
    await Promise.all(holders.map(({ subscriptions }) => subscriptions.remove(wire)))
  }

  /** Slots may have another server than before. */
  arrange(servers: RedisServers): void {
    this.#servers = servers
    for (const server of servers.names) this.#arrangeOne(servers, server)
    for (const [server, listener] of this.#listeners) {
      const isGone = !servers.names.has(server)
      if (isGone) listener.probeWire = undefined
      this.#move(listener)
      // A channel whose slot nobody has stays where it was until somebody has.
      if (!isGone || listener.subscriptions.wires.length > 0) continue
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

  #listenerOf(wire: string): RedisListener | undefined {
    const server = this.#options.isCluster ? this.#servers?.ownerOf(wire) : SINGLE
    return this.#listeners.get(server as string)
  }

  #open(server: string, node?: Redis): RedisListener {
    const { create, probe, adopted, lost, missed, failed, ...common } = this.#options
    const listener = new RedisListener({
      ...common,
      create: () => create(node),
      failed: (error) => {
        // Its slots are another server's by now.
        if (isMoved(error)) void this.#servers?.refresh()
        failed(error)
      },
      probe: (wire, message) => probe(server, wire, message),
      adopted: () => {
        this.#tell()
        adopted(server)
        missed(listener.subscriptions.wires)
      },
      lost: (error) => {
        this.#tell()
        lost(server, error)
      },
      moved: () => this.#doubt(listener)
    })
    this.#listeners.set(server, listener)
    return listener
  }

  #arrangeOne(servers: RedisServers, server: string): void {
    let listener = this.#listeners.get(server)
    if (listener === undefined) {
      listener = this.#open(server, servers.nodeOf(server))
      if (this.#isStarted) {
        listener.replace()
        listener.probe()
      }
    }
    // The one that it has is kept as long as its slot is the server's.
    if (listener.probeWire !== undefined && servers.ownerOf(listener.probeWire) === server) return
    const tag = servers.tagOf(server)
    listener.probeWire = tag && this.#options.probeWire(tag)
    if (listener.probeWire !== undefined) void this.#renew(listener, [listener.probeWire])
  }

  /** Hands the channels of a listener on to those that have their slots now. */
  #move(from: RedisListener): void {
    const moved = new Map<RedisListener, string[]>()
    for (const wire of from.subscriptions.wires) {
      const to = this.#listenerOf(wire)
      if (to === undefined || to === from) continue
      const wires = moved.get(to) ?? []
      moved.set(to, wires)
      wires.push(wire)
    }
    for (const [to, wires] of moved) {
      from.subscriptions.exchange(wires, [])
      to.subscriptions.exchange([], wires)
      void this.#renew(to, wires)
    }
  }

  async #renew(listener: RedisListener, wires: readonly string[]): Promise<void> {
    try {
      await listener.subscriptions.renew(wires)
    } catch (error) {
      if (isMoved(error)) this.#doubt(listener)
      else listener.replace()
      return
    }
    // Without a client, the next one is subscribed to them.
    if (listener.client !== undefined) this.#options.missed(wires)
  }

  #doubt(listener: RedisListener): void {
    this.#unsure.add(listener)
    this.#settling ??= this.#settle().finally(() => {
      this.#settling = undefined
    })
  }

  /** A server tells that a channel is not its any more, but neither which one nor whose it is. */
  async #settle(): Promise<void> {
    while (this.#unsure.size > 0 && !this.#isClosed) {
      await this.#servers?.refresh()
      const listeners = [...this.#unsure]
      this.#unsure.clear()
      await Promise.all(listeners.map((listener) => this.#renew(listener, listener.subscriptions.wires)))
      if (this.#unsure.size > 0) await delay(AGAIN, undefined, { ref: false })
    }
  }

  #tell(): void {
    const listeners = [...this.#listeners.values()]
    if (listeners.every(({ isTried }) => isTried) && listeners.some(({ client }) => client)) this.#areTried()
  }
}

function isMoved(error: unknown): boolean {
  return errorWord(error) === 'MOVED'
}
