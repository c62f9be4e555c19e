import { randomUUID } from 'node:crypto'
import type { Broker, Publication } from '../broker/broker.ts'
import type { Connection } from '../connection/connection.ts'
import type { Registry } from '../connection/registry.ts'
import type { Hub } from '../hub/hub.ts'
import type { KeptEntry, PresenceKeeper } from '../hub/presence-keeper.ts'
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
  /** There are no other nodes: the broker is this process's own. */
  readonly alone: boolean
  /** A failure of the broker that nobody waits for. */
  failed(stage: string, error: unknown): void
  /** A message to this node could not be read. */
  dropped(): void
}

export interface ConnectionPage {
  readonly connections: readonly ConnectionInfo[]
  /** Where the next page begins; none on the last one. */
  readonly cursor?: string
  /** Nodes that did not answer in time, so that their connections are missing on this page. */
  readonly unanswered: number
}

/** Nodes are present on this channel. No application's channel can have a control character in its name. */
const ROSTER = '\u0000roster'
/** Each node's own channel begins with this. */
const INBOX = '\u0000node '
// Milliseconds after which a dead node is no longer asked.
const TTL = 30_000
// Milliseconds that a node is waited for.
const PATIENCE = 2_000
// Bytes of one answer, or one connection that takes more.
const MAX_BYTES = 524_288
const CURSOR = /^([\w-]{1,64})\.([\w-]{0,64})$/

export function isCursor(cursor: string): boolean {
  return CURSOR.test(cursor)
}

/** True for the channel of a node. */
export function isInbox(channel: string): boolean {
  return channel.startsWith(INBOX)
}

/**
 * Which nodes there are, and what connections they have. Nodes are asked one after another in the order of their ids, and
 * each gives its connections in the order of theirs, so a connection that is open all the while stands on one page.
 */
export class Roster {
  readonly #options: RosterOptions
  readonly #node = randomUUID()
  readonly #waiting = new Map<string, (answer: RosterAnswer | undefined) => void>()
  #joined: Promise<void> | undefined
  #entry: KeptEntry | undefined
  #left = false

  constructor(options: RosterOptions) {
    this.#options = options
  }

  /** Lets the other nodes know of this one. Called whenever the broker has become usable; never rejects. */
  async join(): Promise<void> {
    await this.#join().catch((error) => this.#options.failed('roster', error))
  }

  /** The node ends. */
  leave(): void {
    this.#left = true
    this.#entry?.remove()
  }

  /** One page of the connections of all nodes. Rejects with `FST_RT_UNAVAILABLE`. */
  async page(limit: number, cursor: string | undefined): Promise<ConnectionPage> {
    const [, begin = '', first = ''] = CURSOR.exec(cursor ?? '') ?? []
    const nodes = (await this.#nodes()).filter((node) => node >= begin).sort()
    const connections: ConnectionInfo[] = []
    for (const [at, node] of nodes.entries()) {
      const after = node === begin ? first : ''
      const answer = await this.#ask(node, after, limit - connections.length)
      connections.push(...(answer?.connections ?? []))
      const unanswered = answer === undefined ? 1 : 0
      if (answer?.more)
        return { connections, cursor: `${node}.${(connections.at(-1) as ConnectionInfo).id}`, unanswered }
      const next = nodes[at + 1]
      // One that does not answer is waited for once on a page.
      if (next === undefined) return { connections, unanswered }
      if (unanswered > 0 || connections.length >= limit) return { connections, cursor: `${next}.`, unanswered }
    }
    return { connections, unanswered: 0 }
  }

  /** A message to this node came. */
  receive({ data }: Publication): void {
    const message = readRosterMessage(data)
    if (message === undefined) this.#options.dropped()
    else if ('question' in message) this.#reply(message.question)
    // An answer that comes too late is nobody's.
    else this.#waiting.get(message.id)?.(message.answer)
  }

  async #join(): Promise<void> {
    const { alone, broker, presence } = this.#options
    if (alone || this.#left) return
    this.#joined ??= (async () => {
      await broker.subscribe(`${INBOX}${this.#node}`)
      const node = { connection: this.#node, user: '', info: Buffer.from('{}') }
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
    if (alone) return [this.#node]
    await this.#join()
    const nodes = new Set((await broker.presence(ROSTER)).map(({ connection }) => connection).filter(isId))
    // Redis may have lost it since.
    return [...nodes.add(this.#node)]
  }

  /** Gives nothing if the node does not answer in time. */
  async #ask(node: string, after: string, limit: number): Promise<RosterAnswer | undefined> {
    if (node === this.#node) return this.#own(after, limit)
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
      wheel.set(deadline, wheel.now() + PATIENCE)
    })
    try {
      await broker.publish(`${INBOX}${node}`, writeQuestion({ id, from: this.#node, after, limit }))
    } catch (error) {
      this.#waiting.get(id)?.(undefined)
      throw error
    }
    return await answered
  }

  #own(after: string, limit: number): RosterAnswer {
    const { hub, registry } = this.#options
    const found = firstAfter(registry, after, limit + 1)
    return {
      connections: found.slice(0, limit).map((socket) => connectionInfo(socket, hub)),
      more: found.length > limit
    }
  }

  #reply({ id, from, after, limit }: RosterQuestion): void {
    const { broker, failed } = this.#options
    const { connections, more } = this.#own(after, limit)
    const texts = connections.map((info) => JSON.stringify(info))
    let bytes = 0
    const end = texts.findIndex((text, at) => {
      bytes += Buffer.byteLength(text)
      return bytes > MAX_BYTES && at > 0
    })
    const isCut = end >= 0
    const answer = writeAnswer(id, isCut ? texts.slice(0, end) : texts, more || isCut)
    broker.publish(`${INBOX}${from}`, answer).catch((error) => failed('roster', error))
  }
}

/** The first so many sockets with an id after another one, in the order of their ids. To sort all would take longer. */
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
