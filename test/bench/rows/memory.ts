import { setTimeout as sleep } from 'node:timers/promises'
import { Bench, type Subject } from '../bench.ts'
import { contender, type Row } from '../row.ts'
import { channelGreeting, offers, tokens } from '../servers/support.ts'

const FEW = 2_000
const MANY = 15_000
const WARM_UP = 500
// Milliseconds in which the server finishes with its handshakes, or with closed connections.
const SETTLE = 1_500

const users = offers(MANY)
const ours: Subject = { name: 'app.ws', server: 'ours.ts', path: '/idle', offers: users }
const channelClient: Subject = {
  name: 'channel client',
  server: 'ours.ts',
  path: '/connection/websocket',
  greetings: tokens(MANY).map((token) => channelGreeting(token))
}
const bare: Subject = { ...ours, name: '@fastify/websocket with a JWT', server: 'fastify-websocket.ts' }
const ws: Subject = { name: 'ws', server: 'ws.ts', path: '/idle' }

const common = { unit: 'bytes per connection', better: 'less', control: bare.name } as const

function memoryOf(connections: number, question: 'heap' | 'memory', prepare: (bench: Bench) => Promise<unknown>) {
  return [ours, channelClient, bare, ws].map((subject) =>
    contender(subject.name, () =>
      Bench.use(subject, async (bench) => {
        await bench.open(WARM_UP)
        await prepare(bench)
        await sleep(SETTLE)
        const before = await bench.server.ask(question)
        await bench.open(connections)
        await sleep(SETTLE)
        const after = await bench.server.ask(question)
        return { value: (after - before) / connections, contention: 0 }
      })
    )
  )
}

/** Exact to a few bytes: what can still be reached. The first connections stay open, so nothing is given back. */
export const heap: Row = {
  ...common,
  name: 'heap',
  title: `Heap of an idle authenticated connection: objects and buffers, ${FEW} connections`,
  contenders: memoryOf(FEW, 'heap', async () => undefined),
  goals: [
    { work: 'idle connection, heap / @fastify/websocket', figure: ours.name, against: bare.name, must: 0.9, aim: 0.8 },
    {
      work: 'idle channel client, heap / @fastify/websocket',
      figure: channelClient.name,
      against: bare.name,
      must: 1.15,
      aim: 1
    }
  ]
}

/** Resident memory: also what Node and libuv keep outside of the heap, and the free room in the heap's pages. */
export const memory: Row = {
  ...common,
  name: 'memory-15000',
  title: `Memory of an idle authenticated connection: resident, ${MANY} connections`,
  long: true,
  contenders: memoryOf(MANY, 'memory', (bench) => bench.load.run({ do: 'closeAll' })),
  goals: [
    {
      work: 'idle connection at 15,000, memory / @fastify/websocket',
      figure: ours.name,
      against: bare.name,
      must: 0.9,
      aim: 0.8
    },
    { work: 'the same / ws', figure: ours.name, against: ws.name, must: 1.35, aim: 1.25 },
    {
      work: 'idle channel client at 15,000, memory / @fastify/websocket',
      figure: channelClient.name,
      against: bare.name,
      must: 1.15,
      aim: 1
    }
  ]
}
