import { Connection, type Target } from './connection.ts'
import { clientFrame } from './frame-counter.ts'

/*
 * The load generator: a process of its own, which the runner tells what to do over Node's IPC channel. It never
 * sleeps where it has a core to itself (`spin`): a client that sleeps makes each of the server's writes pay for waking
 * it up, which a client on another machine would not, so its CPU time says nothing. What says how busy it is, is the
 * share of its turns' time in which something had arrived (`busy`).
 */

export type LoadCommand =
  | { readonly do: 'spin' }
  /** Opens `count` connections, so many at a time; `protocols` are used in turn. */
  | { readonly do: 'open'; readonly target: Target; readonly count: number; readonly protocols?: readonly string[] }
  | { readonly do: 'closeAll' }
  /**
   * One more connection sends so many messages in one write, to be fanned out to all the others, and as many again once
   * all have arrived. Were they written one burst after another, it would be luck which of them meet in one turn of the
   * server, and that is what decides the figure.
   */
  | { readonly do: 'publish'; readonly target: Target; readonly burst: number }
  | { readonly do: 'echo' }
  | { readonly do: 'sample' }

export interface LoadSample {
  /** Messages received since the start. */
  readonly messages: number
  /** Seconds spent on what had arrived, and seconds since the start. */
  readonly busy: number
  readonly time: number
}

const OPENING_AT_ONCE = 64
// Milliseconds that an idle turn waits, so that polling does not contend with the server inside the kernel.
const IDLE_WAIT = 0.015
const MESSAGE_BYTES = 128

let connections: Connection[] = []
let messages = 0
let reads = 0
let busy = 0
let onMessages: (connection: Connection) => void = () => {}

function received(connection: Connection, count: number): void {
  messages += count
  reads++
  if (count > 0) onMessages(connection)
}

function spin(): void {
  let before = performance.now()
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
    setImmediate(turn)
  }
  turn()
}

async function open(target: Target, count: number, protocols: readonly string[] = []): Promise<void> {
  let started = 0
  const next = async (): Promise<void> => {
    while (started < count) {
      const offer = protocols[started % protocols.length]
      started++
      const connection = new Connection({ ...target, protocols: offer }, received)
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

async function publish(target: Target, burst: number): Promise<void> {
  const subscribers = connections.length
  const publisher = new Connection(target, () => {})
  connections.push(publisher)
  await publisher.opened
  let due = messages
  onMessages = () => {
    if (messages < due) return
    due += burst * subscribers
    publisher.write(Buffer.concat(Array.from({ length: burst }, () => clientFrame(message()))))
  }
  onMessages(publisher)
}

function echo(): void {
  const frame = clientFrame(message())
  onMessages = (connection) => connection.write(frame)
  for (const connection of connections) connection.write(frame)
}

function closeAll(): void {
  onMessages = () => {}
  for (const connection of connections) connection.close()
  connections = []
}

async function run(command: LoadCommand): Promise<LoadSample> {
  switch (command.do) {
    case 'spin':
      spin()
      break
    case 'open':
      await open(command.target, command.count, command.protocols)
      break
    case 'closeAll':
      closeAll()
      break
    case 'publish':
      await publish(command.target, command.burst)
      break
    case 'echo':
      echo()
  }
  return { messages, busy: busy / 1000, time: performance.now() / 1000 }
}

process.on('message', (command: LoadCommand) => {
  run(command).then(
    (sample) => process.send?.({ sample }),
    (error: Error) => process.send?.({ error: error.message })
  )
})
process.on('disconnect', () => process.exit())
process.send?.({ ready: true })
