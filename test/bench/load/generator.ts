import { Connection, type Greeting, type Target } from './connection.ts'
import { clientFrame } from './frame-counter.ts'
import { Latencies } from './latencies.ts'

/*
 * The load generator: a process that gets its commands from the runner over Node's IPC channel. If it has a core for
 * itself, it never sleeps (`spin`): a client that sleeps makes each of the server's writes pay for waking it up, which a
 * client on another machine would not. Its CPU time therefore says nothing. `busy` says how busy it is: the share of
 * the time of its turns in which something had arrived.
 */

export type LoadCommand =
  | { readonly do: 'spin' }
  /** It sleeps from now on, if there is nothing to do. */
  | { readonly do: 'rest' }
  /** Opens `count` connections, 64 at a time. Targets, offers and greetings are used in turn. */
  | {
      readonly do: 'open'
      readonly targets: readonly Target[]
      readonly count: number
      readonly offers?: readonly string[] | undefined
      readonly greetings?: readonly Greeting[] | undefined
    }
  | { readonly do: 'closeAll' }
  /**
   * One more connection sends `burst` messages in one write, and as many again when all `receivers` have all of them. If
   * it wrote one burst after another, chance would decide how many of them meet in one turn of the server, and with it
   * the figure.
   */
  | ({
      readonly do: 'publish'
      readonly target: Target
      readonly burst: number
      /** Of each message. All connections if not given. */
      readonly receivers?: number | undefined
    } & Wording)
  /** One more connection sends so many messages a second, for so many seconds, even if the server is late. */
  | ({ readonly do: 'rate'; readonly target: Target; readonly perSecond: number; readonly seconds: number } & Wording)
  /** Every connection sends one of these messages, in turn. Done when each has received so many. */
  | { readonly do: 'ask'; readonly texts: readonly string[]; readonly answers: number }
  | { readonly do: 'echo' }
  /** Waits until the server has closed all connections. */
  | { readonly do: 'part' }
  | { readonly do: 'sample' }

/** What a protocol has around a message of the application. */
export interface Wording {
  readonly before?: string
  readonly after?: string
}

export interface LoadSample {
  /** Messages received since the start, and pings answered on the connections that are open. */
  readonly messages: number
  readonly pings: number
  /** Seconds of turns in which something had arrived, and seconds since the start. */
  readonly busy: number
  readonly time: number
  /** Milliseconds from when a message was due to be sent to its arrival at each subscriber. */
  readonly latency?: { readonly p50: number; readonly p99: number; readonly most: number }
}

const OPENING_AT_ONCE = 64
// Milliseconds that an idle turn waits, so that polling does not contend with the server inside the kernel.
const IDLE_WAIT = 0.015
const MESSAGE_BYTES = 128

/** The subscribers, and the publishers. */
let connections: Connection[] = []
let publishers: Connection[] = []
let messages = 0
let reads = 0
let busy = 0
let spinning = false
let onMessages: (connection: Connection) => void = () => {}

function received(connection: Connection, count: number): void {
  messages += count
  reads++
  if (count > 0) onMessages(connection)
}

function spin(): void {
  let before = performance.now()
  spinning = true
  const turn = () => {
    let now = performance.now()
    if (reads > 0) {
      busy += now - before
      reads = 0
    } else {
      const until = now + IDLE_WAIT
      while (now < until) now = performance.now()
    }
    before = now
    if (spinning) setImmediate(turn)
  }
  turn()
}

async function open({ targets, count, offers = [], greetings = [] }: LoadCommand & { do: 'open' }): Promise<void> {
  let started = 0
  const next = async (): Promise<void> => {
    while (started < count) {
      const target = targets[started % targets.length] as Target
      const protocols = offers[started % offers.length]
      const connection = new Connection(
        { ...target, protocols, greeting: greetings[started % greetings.length] },
        received
      )
      started++
      connections.push(connection)
      await connection.opened
    }
  }
  await Promise.all(Array.from({ length: OPENING_AT_ONCE }, next))
}

let id = 1_000_000

/** A message of an application, 128 bytes of JSON. */
function message(): string {
  const start = `{"ts":${Date.now()},"type":"msg","room":"t0001","id":${id++},"data":"`
  return `${start.padEnd(MESSAGE_BYTES - 2, 'x')}"}`
}

/** One more connection, which publishes. */
async function openPublisher(target: Target): Promise<Connection> {
  const publisher = new Connection(target, () => {})
  publishers.push(publisher)
  await publisher.opened
  return publisher
}

async function publish(command: LoadCommand & { do: 'publish' }): Promise<void> {
  const { target, burst, receivers = connections.length, ...wording } = command
  const publisher = await openPublisher(target)
  let due = messages
  onMessages = () => {
    if (messages < due) return
    due += burst * receivers
    publisher.write(Buffer.concat(Array.from({ length: burst }, () => frameOf(wording))))
  }
  onMessages(publisher)
}

function frameOf({ before = '', after = '' }: Wording): Buffer {
  return clientFrame(before + message() + after)
}

/**
 * Messages reach each connection in the order in which they were sent, so the first to arrive is the first that was due.
 * Latency counts from when a message was due, not from when it was sent: a server that holds up its publisher must not
 * look fast.
 */
async function rate(target: Target, perSecond: number, seconds: number, wording: Wording) {
  const subscribers = [...connections]
  const publisher = await openPublisher(target)
  const latencies = new Latencies()
  const before = new Map(subscribers.map((connection) => [connection, connection.messages]))
  const seen = new Map(subscribers.map((connection) => [connection, 0]))
  const due: number[] = []
  const start = performance.now()
  const all = perSecond * seconds
  let left = all * subscribers.length
  await new Promise<void>((resolve) => {
    onMessages = (connection) => {
      const now = performance.now()
      const arrived = connection.messages - (before.get(connection) as number)
      for (let at = seen.get(connection) as number; at < arrived; at++, left--) latencies.add(now - (due[at] as number))
      seen.set(connection, arrived)
      if (left <= 0) resolve()
    }
    const send = () => {
      while (due.length < all && start + (due.length * 1000) / perSecond <= performance.now()) {
        due.push(start + (due.length * 1000) / perSecond)
        publisher.write(frameOf(wording))
      }
      if (due.length < all) setImmediate(send)
    }
    send()
  })
  onMessages = () => {}
  return latencies.summary()
}

async function ask(texts: readonly string[], answers: number): Promise<void> {
  const waiting = new Map(connections.map((connection) => [connection, connection.messages + answers]))
  await new Promise<void>((resolve) => {
    onMessages = (connection) => {
      if (connection.messages < (waiting.get(connection) ?? Number.POSITIVE_INFINITY)) return
      waiting.delete(connection)
      if (waiting.size === 0) resolve()
    }
    for (const [at, connection] of connections.entries()) {
      connection.write(clientFrame(texts[at % texts.length] as string))
    }
  })
  onMessages = () => {}
}

function echo(): void {
  const frame = clientFrame(message())
  onMessages = (connection) => connection.write(frame)
  for (const connection of connections) connection.write(frame)
}

function closeAll(): void {
  onMessages = () => {}
  for (const connection of [...connections, ...publishers]) connection.close()
  connections = []
  publishers = []
}

async function part(): Promise<void> {
  onMessages = () => {}
  await Promise.all(connections.map((connection) => connection.closed()))
  connections = []
}

async function run(command: LoadCommand): Promise<LoadSample> {
  let latency: LoadSample['latency']
  switch (command.do) {
    case 'spin':
      spin()
      break
    case 'open':
      await open(command)
      break
    case 'closeAll':
      closeAll()
      break
    case 'publish':
      await publish(command)
      break
    case 'rate':
      latency = await rate(command.target, command.perSecond, command.seconds, command)
      break
    case 'ask':
      await ask(command.texts, command.answers)
      break
    case 'echo':
      echo()
      break
    case 'rest':
      spinning = false
      break
    case 'part':
      await part()
  }
  const pings = connections.reduce((sum, connection) => sum + connection.pings, 0)
  return { messages, pings, busy: busy / 1000, time: performance.now() / 1000, latency }
}

process.on('message', (command: LoadCommand) => {
  run(command).then(
    (sample) => process.send?.({ sample }),
    (error: Error) => process.send?.({ error: error.message })
  )
})
process.on('disconnect', () => process.exit())
process.send?.({ ready: true })
