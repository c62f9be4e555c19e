import { randomUUID } from 'node:crypto'
import type { Broker, Publication } from '../broker/broker.ts'
import type { Connection } from '../connection/connection.ts'
import type { Registry } from '../connection/registry.ts'
import type { Hub } from '../hub/hub.ts'
import type { KeptEntry, PresenceKeeper } from '../hub/presence-keeper.ts'
import type { Eventual } from '../input/eventual.ts'
import type { TimerWheel } from '../timing/timer-wheel.ts'
import { type ConnectionInfo, connectionInfo } from './connection-info.ts'
import {
  isId,
  type RosterAnswer,
  type RosterQuestion,
  readRosterMessage,
  writeAnswer,
  writeQuestion
} from './roster-message.ts'

export interface RosterOptions {
  readonly broker: Broker
  readonly hub: Hub
  readonly registry: Registry
  readonly presence: PresenceKeeper
  readonly wheel: TimerWheel
  /** True if there are no other nodes: the broker is in the memory of this process. */
  readonly alone: boolean
  /** Reports a failure of the broker that no caller waits for. */
  failed(stage: string, error: unknown): void
  /** Called if a message to this node could not be read. */
  dropped(): void
}

export interface ConnectionPage {
  readonly connections: readonly ConnectionInfo[]
  /** The beginning of the next page. Missing on the last page. */
  readonly cursor?: string
  /** The number of nodes that did not answer in time. Their connections are missing on this page. */
  readonly unanswered: number
}

/** The nodes are present on this channel. A channel of an application cannot have a control character in its name. */
const ROSTER = '\u0000roster'
/** The prefix of the name of each node's own channel. */
const INBOX = '\u0000node '
// Milliseconds after which a dead node is removed from the list.
const TTL = 30_000
// Milliseconds to wait for the answer of a node.
const ANSWER_TIMEOUT = 2_000
// Maximum bytes of the connections in one answer. A single larger connection is still sent.
const MAX_BYTES = 524_288
const CURSOR = /^([\w-]{1,64})\.([\w-]{0,64})$/

export function isCursor(cursor: string): boolean {
  return CURSOR.test(cursor)
}

/** The channel of a node. */
export function inboxOf(node: string): string {
  return `${INBOX}${node}`
}

/** True for a node's own channel. */
export function isInbox(channel: string): boolean {
  return channel.startsWith(INBOX)
}

/**
 * The list of all nodes and of their connections. The nodes are asked one after another in the order of their ids, and
 * each answers with its connections in the order of their ids. So a connection that is open all the time is on exactly
 * one page.
 */
export class Roster {
  readonly #options: RosterOptions
  /** The id of this node. */
  readonly node = randomUUID()
  readonly #waiting = new Map<string, (answer: RosterAnswer | undefined) => void>()
  /** When each node was last on the list, by the wheel's clock. */
  readonly #seen = new Map<string, number>()
  #reading: Promise<void> | undefined
  #joined: Promise<void> | undefined
  #entry: KeptEntry | undefined
  #left = false

  constructor(options: RosterOptions) {
    this.#options = options
  }

  /** Adds this node to the list. Called whenever the broker has become available. Never rejects. */
  async join(): Promise<void> {
    await this.#join().catch((error) => this.#options.failed('roster', error))
  }

  /** Removes this node from the list, because it ends. */
  leave(): void {
    this.#left = true
    this.#entry?.remove()
  }

  /**
   * Whether there is a node with this id. The list is read only if the node is not known yet, and once at a time: a
   * client may ask for any id. Rejects with `FST_RT_UNAVAILABLE`.
   */
  has(node: string): Eventual<boolean> {
    if (this.#hasSeen(node)) return true
    this.#reading ??= this.#readList().finally(() => {
      this.#reading = undefined
    })
    return this.#reading.then(() => this.#hasSeen(node))
  }

  #hasSeen(node: string): boolean {
    const at = this.#seen.get(node)
    return at !== undefined && this.#options.wheel.now() - at < TTL
  }

  async #readList(): Promise<void> {
    const nodes = await this.#nodes()
    for (const node of this.#seen.keys()) if (!this.#hasSeen(node)) this.#seen.delete(node)
    for (const node of nodes) this.#seen.set(node, this.#options.wheel.now())
  }

  /** One page of the connections of all nodes. Rejects with `FST_RT_UNAVAILABLE`. */
  async page(limit: number, cursor: string | undefined): Promise<ConnectionPage> {
    const [, firstNode = '', firstAfterId = ''] = CURSOR.exec(cursor ?? '') ?? []
    const nodes = (await this.#nodes()).filter((node) => node >= firstNode).sort()
    const connections: ConnectionInfo[] = []
    for (const [at, node] of nodes.entries()) {
      const after = node === firstNode ? firstAfterId : ''
      const answer = await this.#ask(node, after, limit - connections.length)
      connections.push(...(answer?.connections ?? []))
      const unanswered = answer === undefined ? 1 : 0
      if (answer?.more)
        return { connections, cursor: `${node}.${(connections.at(-1) as ConnectionInfo).id}`, unanswered }
      const next = nodes[at + 1]
      // A page ends after a node that did not answer, so that a page waits for one timeout at most.
      if (next === undefined) return { connections, unanswered }
      if (unanswered > 0 || connections.length >= limit) return { connections, cursor: `${next}.`, unanswered }
    }
    return { connections, unanswered: 0 }
  }

  /** Called with each message on the channel of this node. */
  receive({ data }: Publication): void {
    const message = readRosterMessage(data)
    if (message === undefined) this.#options.dropped()
    else if ('question' in message) this.#reply(message.question)
    // If the answer is too late, no one waits for it.
    else this.#waiting.get(message.id)?.(message.answer)
  }

  async #join(): Promise<void> {
    const { alone, broker, presence } = this.#options
    if (alone || this.#left) return
    this.#joined ??= (async () => {
      await broker.subscribe(inboxOf(this.node))
      const node = { connection: this.node, user: '', info: Buffer.from('{}') }
      const entry = presence.keep({ channel: ROSTER, entry: node, ttl: TTL, joinLeave: false })
      await entry.add()
      this.#entry = entry
      if (this.#left) entry.remove()
    })()
    try {
      await this.#joined
    } catch (error) {
      this.#joined = undefined
      throw error
    }
  }

  async #nodes(): Promise<string[]> {
    const { alone, broker } = this.#options
    if (alone) return [this.node]
    await this.#join()
    const nodes = new Set((await broker.presence(ROSTER)).map(({ connection }) => connection).filter(isId))
    // Redis may have lost the entry of this node.
    return [...nodes.add(this.node)]
  }

  /** Resolves with undefined if the node does not answer in time. */
  async #ask(node: string, after: string, limit: number): Promise<RosterAnswer | undefined> {
    if (node === this.node) return this.#localPage(after, limit)
    const { broker, wheel } = this.#options
    const id = randomUUID()
    const answered = new Promise<RosterAnswer | undefined>((resolve) => {
      const done = (answer: RosterAnswer | undefined) => {
        this.#waiting.delete(id)
        wheel.delete(deadline)
        resolve(answer)
      }
      const deadline = {
        wheelTick: -1,
        onDue() {
          done(undefined)
          return Number.POSITIVE_INFINITY
        }
      }
      this.#waiting.set(id, done)
      wheel.set(deadline, wheel.now() + ANSWER_TIMEOUT)
    })
    try {
      await broker.publish(inboxOf(node), writeQuestion({ id, from: this.node, after, limit }))
    } catch (error) {
      this.#waiting.get(id)?.(undefined)
      throw error
    }
    return await answered
  }

  #localPage(after: string, limit: number): RosterAnswer {
    const { hub, registry } = this.#options
    const found = firstAfter(registry, after, limit + 1)
    return {
      connections: found.slice(0, limit).map((socket) => connectionInfo(socket, hub)),
      more: found.length > limit
    }
  }

  #reply({ id, from, after, limit }: RosterQuestion): void {
    const { broker, failed } = this.#options
    const { connections, more } = this.#localPage(after, limit)
    const texts = connections.map((info) => JSON.stringify(info))
    let bytes = 0
    const end = texts.findIndex((text, at) => {
      bytes += Buffer.byteLength(text)
      return bytes > MAX_BYTES && at > 0
    })
    const isCut = end >= 0
    const answer = writeAnswer(id, isCut ? texts.slice(0, end) : texts, more || isCut)
    broker.publish(inboxOf(from), answer).catch((error) => failed('roster', error))
  }
}

/** The first `count` sockets with an id after `after`, in the order of their ids. Sorting all of them takes longer. */
function firstAfter(sockets: Iterable<Connection>, after: string, count: number): Connection[] {
  const found: Connection[] = []
  for (const socket of sockets) {
    if (socket.id <= after) continue
    let from = 0
    let to = found.length
    while (from < to) {
      const middle = (from + to) >> 1
      if ((found[middle] as Connection).id < socket.id) from = middle + 1
      else to = middle
    }
    if (from >= count) continue
    found.splice(from, 0, socket)
    if (found.length > count) found.pop()
  }
  return found
}
