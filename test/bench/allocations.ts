import { setTimeout as sleep } from 'node:timers/promises'
import { Connection, type Target } from './load/connection.ts'
import { clientFrame } from './load/frame-counter.ts'
import { ServerProcess } from './processes.ts'
import { median } from './report.ts'
import { channelGreeting, offers, tokens } from './servers/support.ts'

/*
 * Bytes that handshakes and messages allocate, and bytes that connections and subscriptions keep: the part of the
 * benchmark that runs with the tests (allocations.test.ts). All guards are on.
 *
 * Bytes and not times, because the same code allocates the same bytes on a busy machine. Node 20 has no counter of all
 * bytes ever allocated, and the sampling heap profiler estimates. So the server gets a young generation larger than
 * everything that one window allocates. While nothing is collected, the growth of the young generation and of the
 * buffers outside of the heap is exactly what was allocated. What is kept is the growth between two collections. The
 * rest makes it repeatable:
 *
 * - V8 doesn't optimize. Which allocations its compiler removes depends on when it compiles and what it has seen, and
 *   compiled code is on the heap too. So these figures are higher than those of a server in production.
 * - One thing at a time: how many messages arrive in one read would change the count.
 * - No heartbeat falls into a window: its interval is a day.
 * - A figure is the median of several windows, because a timer may fire in one of them.
 */
export type Allocations = Readonly<Record<string, number>>

/** One file for each major version of Node: what objects weigh differs between versions of V8. */
export const BASELINE = new URL(`./allocations/node-${process.versions.node.split('.')[0]}.json`, import.meta.url)

const FLAGS = ['--no-opt', '--single-threaded', '--min-semi-space-size=128', '--max-semi-space-size=128']
const HEARTBEAT = '86400000'
// Windows before the first that counts, in which caches fill, and windows that count.
const WARM_UP = 2
const WINDOWS = 5
// In one window.
const HANDSHAKES = 40
const ECHOES = 100
const SUBSCRIBERS = 50
const PUBLISHES = 10
const CONNECTIONS = 40
// Connections in the windows of further subscriptions, and how many each has.
const SUBSCRIBING = 20
const EACH = 10
const SHARED = Array.from({ length: 40 }, (_, at) => `many/shared-${at}`)
// Milliseconds between two looks at whether the server has finished with closed connections.
const POLL = 10

const MESSAGE = clientFrame(JSON.stringify({ ts: 1, type: 'msg', room: 't0001', id: 1, data: 'x'.repeat(60) }))
const USERS = Math.max(HANDSHAKES, SUBSCRIBERS, CONNECTIONS)
const OFFERS = offers(USERS)
const TOKENS = tokens(USERS)
const CHANNELS = '/connection/websocket'

/** What differs between sockets and clients of the channel protocol. */
interface Kind {
  /** Address of a client without subscriptions, and of one that is subscribed to the channel that is published to. */
  idle(index: number): Omit<Target, 'port'>
  subscribed(index: number): Omit<Target, 'port'>
  /** Messages that subscribe to channels. Each has one answer. */
  subscribe(channels: readonly string[]): string[]
}

const sockets: Kind = {
  idle: (index) => ({ path: '/subscribe', protocols: OFFERS[index] }),
  subscribed: (index) => ({ path: '/sub', protocols: OFFERS[index] }),
  subscribe: (channels) => [JSON.stringify(channels)]
}
const channelClients: Kind = {
  idle: (index) => ({ path: CHANNELS, greeting: channelGreeting(TOKENS[index] as string) }),
  subscribed: (index) => ({ path: CHANNELS, greeting: channelGreeting(TOKENS[index] as string, 'bench') }),
  subscribe: (channels) => channels.map((channel) => JSON.stringify({ id: 10, subscribe: { channel } }))
}
const route = (path: string) => (index: number) => ({ path, protocols: OFFERS[index] })

/** A server, and clients in this process. */
class Rig {
  readonly #server: ServerProcess
  #connections: Connection[] = []
  #onRead = () => {}

  private constructor(server: ServerProcess) {
    this.#server = server
  }

  static async start(): Promise<Rig> {
    return new Rig(await ServerProcess.start('ours.ts', { HEARTBEAT }, FLAGS))
  }

  /** Opens connections, one after the other. */
  async open(count: number, target: (index: number) => Omit<Target, 'port'>): Promise<Connection[]> {
    const opened: Connection[] = []
    for (let index = 0; index < count; index++) {
      const connection = new Connection({ port: this.#server.port, ...target(index) }, () => this.#onRead())
      this.#connections.push(connection)
      await connection.opened
      opened.push(connection)
    }
    return opened
  }

  /** Sends a message. Resolves when each of the receivers has one more. */
  async send(sender: Connection, frame: Buffer, receivers: readonly Connection[] = [sender]): Promise<void> {
    const before = receivers.map(({ messages }) => messages)
    await new Promise<void>((resolve) => {
      this.#onRead = () => {
        if (receivers.every(({ messages }, at) => messages > (before[at] as number))) resolve()
      }
      sender.write(frame)
    })
  }

  /** Subscribes each connection to channels. */
  async subscribe(kind: Kind, connections: readonly Connection[], channelsOf: (index: number) => readonly string[]) {
    for (const [index, connection] of connections.entries()) {
      for (const text of kind.subscribe(channelsOf(index))) await this.send(connection, clientFrame(text))
    }
  }

  /** Resolves when the server has finished with all connections. */
  async closeAll(): Promise<void> {
    for (const connection of this.#connections.splice(0)) connection.close()
    while ((await this.#server.ask('connections')) > 0) await sleep(POLL)
  }

  /** Bytes that the server allocates for each of the `count` things that happen in a window. */
  async allocated(count: number, window: () => Promise<unknown>): Promise<number> {
    for (let i = 0; i < WARM_UP; i++) await window()
    const figures: number[] = []
    for (let i = 0; i < WINDOWS; i++) {
      // Collects, so that there is room for a window.
      await this.#server.ask('heap')
      const before = await this.#server.ask('allocated')
      await window()
      figures.push(((await this.#server.ask('allocated')) - before) / count)
    }
    return Math.round(median(figures))
  }

  /** Bytes that the server keeps for each of the `count` things that happen in a window. */
  async kept<Prepared>(
    count: number,
    prepare: () => Promise<Prepared>,
    window: (prepared: Prepared) => Promise<unknown>
  ): Promise<number> {
    const figures: number[] = []
    for (let i = 0; i < WINDOWS; i++) {
      const prepared = await prepare()
      const before = await this.#server.ask('heap')
      await window(prepared)
      figures.push(((await this.#server.ask('heap')) - before) / count)
    }
    return Math.round(median(figures))
  }

  stop(): Promise<void> {
    for (const connection of this.#connections) connection.close()
    return this.#server.stop()
  }
}

async function deliveries(rig: Rig, kind: Kind): Promise<number> {
  const subscribers = await rig.open(SUBSCRIBERS, kind.subscribed)
  const [publisher] = (await rig.open(1, route('/pub'))) as [Connection]
  const allocated = await rig.allocated(PUBLISHES * SUBSCRIBERS, async () => {
    for (let i = 0; i < PUBLISHES; i++) await rig.send(publisher, MESSAGE, subscribers)
  })
  await rig.closeAll()
  return allocated
}

/** What clients of a kind keep, from an idle connection to a channel of its own. */
async function keeping(rig: Rig, kind: Kind) {
  const open = () => rig.open(CONNECTIONS, kind.idle)
  const sharedFrom = (index: number, first: number, count: number) =>
    Array.from({ length: count }, (_, at) => SHARED[(index + first + at) % SHARED.length] as string)
  // The shared channels are there before.
  const [holder] = (await rig.open(1, kind.idle)) as [Connection]
  await rig.subscribe(kind, [holder], () => SHARED)

  const idle = await rig.kept(CONNECTIONS, async () => undefined, open)
  const first = await rig.kept(CONNECTIONS, open, (connections) =>
    rig.subscribe(kind, connections, (index) => sharedFrom(index, 0, 1))
  )
  const openSubscribed = async () => {
    const connections = await rig.open(SUBSCRIBING, kind.idle)
    await rig.subscribe(kind, connections, (index) => sharedFrom(index, 0, 1))
    return connections
  }
  const further = await rig.kept(SUBSCRIBING * EACH, openSubscribed, (connections) =>
    rig.subscribe(kind, connections, (index) => sharedFrom(index, 1, EACH))
  )
  let channels = 0
  const own = await rig.kept(SUBSCRIBING * EACH, openSubscribed, (connections) =>
    rig.subscribe(kind, connections, () => Array.from({ length: EACH }, () => `many/own-${channels++}`))
  )
  await rig.closeAll()
  return { idle, first, further, own }
}

export async function measureAllocations(): Promise<Allocations> {
  const rig = await Rig.start()
  try {
    const handshake = await rig.allocated(HANDSHAKES, () => rig.open(HANDSHAKES, sockets.idle))
    const rawHandshake = await rig.allocated(HANDSHAKES, () => rig.open(HANDSHAKES, route('/raw')))
    const channelHandshake = await rig.allocated(HANDSHAKES, () => rig.open(HANDSHAKES, channelClients.idle))
    await rig.closeAll()

    const [client] = (await rig.open(1, route('/echo'))) as [Connection]
    const echo = await rig.allocated(ECHOES, async () => {
      for (let i = 0; i < ECHOES; i++) await rig.send(client, MESSAGE)
    })
    await rig.closeAll()

    const delivery = await deliveries(rig, sockets)
    const channelDelivery = await deliveries(rig, channelClients)
    const socket = await keeping(rig, sockets)
    const channelClient = await keeping(rig, channelClients)
    return {
      'allocated by a handshake': handshake,
      'allocated by a handshake of a raw route': rawHandshake,
      'allocated by a handshake of a channel client': channelHandshake,
      'allocated by an echoed message': echo,
      'allocated by a delivery': delivery,
      'allocated by a delivery to a channel client': channelDelivery,
      'kept by an idle connection': socket.idle,
      'kept by its first subscription': socket.first,
      'kept by each further subscription': socket.further,
      'kept by a subscription to a channel of its own': socket.own,
      'kept by an idle channel client': channelClient.idle,
      "kept by a channel client's first subscription": channelClient.first,
      "kept by a channel client's further subscription": channelClient.further,
      "kept by a channel client's subscription to a channel of its own": channelClient.own
    }
  } finally {
    await rig.stop()
  }
}
