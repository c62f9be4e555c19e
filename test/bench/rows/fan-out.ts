import type { Bench, Measured, Row, Subject } from '../row.ts'
import { channelGreeting } from '../servers/support.ts'

const SUBSCRIBERS = 1_000
// CPU seconds of the server.
const WARM_UP = 1
const TIME = 1.5

const subjects: readonly Subject[] = [
  { name: 'app.ws + socket.publish', server: 'ours', path: '/sub', publisher: '/pub' },
  { name: 'app.realtime.publish', server: 'ours', path: '/sub', publisher: '/pub-api' },
  { name: 'ws, send() in a loop', server: 'ws', path: '/sub', publisher: '/pub' },
  { name: 'net, one frame per message', server: 'net', path: '/sub', publisher: '/pub' }
]

function fanOut(burst: number): (bench: Bench, subject: Subject) => Promise<Measured> {
  return async (bench, { path }) => {
    await bench.open(path, SUBSCRIBERS)
    await bench.publish(burst)
    return bench.throughput(WARM_UP, TIME)
  }
}

const common = { unit: 'deliveries per CPU second', better: 'more', subjects, control: 'ws, send() in a loop' } as const

export const bursts: Row = {
  ...common,
  name: 'fan-out',
  title: `Fan-out to ${SUBSCRIBERS} sockets, 16 messages at a time (two bursts of 8)`,
  expected: { 'app.ws + socket.publish': 10, 'app.realtime.publish': 10 },
  measure: fanOut(16)
}

export const burst: Row = {
  ...common,
  name: 'fan-out-8',
  title: `Fan-out to ${SUBSCRIBERS} sockets, 8 messages at a time`,
  subjects: subjects.filter(({ name }) => ['app.ws + socket.publish', common.control].includes(name)),
  expected: {},
  measure: fanOut(8)
}

/** The same publications, to clients of the channel protocol. */
export const channels: Row = {
  ...common,
  name: 'fan-out-channels',
  title: `Fan-out to ${SUBSCRIBERS} clients of the channel protocol beside as many sockets, 16 messages at a time`,
  subjects: [
    { name: 'app.ws + socket.publish', server: 'ours', path: '/sub', publisher: '/pub' },
    {
      name: 'channel protocol',
      server: 'ours',
      path: '/connection/websocket',
      publisher: '/pub',
      greeting: channelGreeting('bench')
    }
  ],
  control: 'app.ws + socket.publish',
  expected: { 'channel protocol': 0.9 },
  measure: fanOut(16)
}

export const single: Row = {
  ...common,
  name: 'fan-out-single',
  title: `Fan-out to ${SUBSCRIBERS} sockets, one message at a time`,
  expected: { 'app.ws + socket.publish': 1, 'app.realtime.publish': 1 },
  measure: fanOut(1)
}
