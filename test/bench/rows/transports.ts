import { setTimeout as sleep } from 'node:timers/promises'
import { commandBytes } from '../../support/protobuf.ts'
import { Bench, type Subject } from '../bench.ts'
import type { Greeting } from '../load/connection.ts'
import { contender, type Row } from '../row.ts'
import { CHANNEL, tokens } from '../servers/support.ts'

/* What each transport and encoding of the channel protocol costs, beside JSON over WebSocket. */

const SUBSCRIBERS = 1_000
const IDLE = 2_000
const WARM_UP_CONNECTIONS = 500
const BURST = 16
// CPU seconds of the server.
const WARM_UP = 1
const TIME = 1.5
// Milliseconds in which the server finishes with its handshakes.
const SETTLE = 1_500

function jsonConnect(data?: string): Greeting[] {
  return tokens(IDLE + WARM_UP_CONNECTIONS).map((token) => ({
    texts: [JSON.stringify({ id: 1, connect: { token, data } })],
    answers: 1
  }))
}

function protobufConnect(data?: string): Greeting[] {
  return tokens(IDLE + WARM_UP_CONNECTIONS).map((token) => {
    const connect = data === undefined ? { token } : { token, data: Buffer.from(JSON.stringify(data)) }
    return { texts: [commandBytes({ id: 1, connect }).toString('base64')], isBinary: true, answers: 1 }
  })
}

function subjectsOf(data?: string): readonly [Subject, ...Subject[]] {
  const json = jsonConnect(data)
  const protobuf = protobufConnect(data)
  const common = { server: 'transports.ts', publisher: '/pub' }
  const overWebSocket = { ...common, path: '/connection/websocket' }
  const overStream = { ...common, path: '/connection/http_stream' }
  return [
    { ...overWebSocket, name: 'JSON over WebSocket', greetings: json },
    {
      ...overWebSocket,
      name: 'Protobuf over WebSocket',
      path: `${overWebSocket.path}?format=protobuf`,
      greetings: protobuf
    },
    { ...overStream, name: 'JSON over HTTP streaming', greetings: json, form: 'lines' },
    { ...overStream, name: 'Protobuf over HTTP streaming', greetings: protobuf, form: 'lengths' },
    { ...common, name: 'server-sent events', path: '/connection/sse', greetings: json, form: 'events' }
  ]
}

const [control, protobuf, jsonLines, protobufLengths, events] = subjectsOf(CHANNEL).map(({ name }) => name) as [
  string,
  string,
  string,
  string,
  string
]

export const transportBursts: Row = {
  name: 'transports',
  title: `Fan-out of a channel to ${SUBSCRIBERS} clients of each transport, ${BURST} messages at a time`,
  unit: 'deliveries per CPU second',
  better: 'more',
  contenders: subjectsOf(CHANNEL).map((subject) =>
    contender(subject.name, () =>
      Bench.use(subject, async (bench) => {
        await bench.open(SUBSCRIBERS)
        await bench.publish(BURST)
        return bench.throughput(WARM_UP, TIME)
      })
    )
  ),
  control,
  goals: [
    { work: 'fan-out to Protobuf clients / JSON over WebSocket', figure: protobuf, must: 0.9, aim: 1 },
    { work: 'fan-out over HTTP streaming / JSON over WebSocket', figure: jsonLines, must: 0.8, aim: 0.9 },
    { work: 'the same in Protobuf', figure: protobufLengths, must: 0.8, aim: 0.9 },
    { work: 'fan-out of server-sent events / JSON over WebSocket', figure: events, must: 0.8, aim: 0.9 }
  ].map((goal) => ({ ...goal, against: control }))
}

export const transportHeap: Row = {
  name: 'transports-heap',
  title: `Heap of an idle client of each transport: objects and buffers, ${IDLE} clients`,
  unit: 'bytes per client',
  better: 'less',
  contenders: subjectsOf().map((subject) =>
    contender(subject.name, () =>
      Bench.use(subject, async (bench) => {
        await bench.open(WARM_UP_CONNECTIONS)
        await sleep(SETTLE)
        const before = await bench.server.ask('heap')
        await bench.open(IDLE)
        await sleep(SETTLE)
        const after = await bench.server.ask('heap')
        return { value: (after - before) / IDLE, contention: 0 }
      })
    )
  ),
  control,
  goals: []
}
