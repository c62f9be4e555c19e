import type { Bench, Row, Subject } from '../row.ts'

const NODES = 2
const SUBSCRIBERS = 1_000
// CPU seconds of the servers and Redis.
const WARM_UP = 1.5
const TIME = 2
// Publications a second, and for how many seconds.
const MODEST = { perSecond: 10, seconds: 8 }

const common = { nodes: NODES, redis: true } as const
const ours: Subject = { ...common, name: 'app.ws', server: 'ours', path: '/sub', publisher: '/pub' }
const kept: Subject = { ...common, name: 'app.ws, history', server: 'ours', path: '/sub-kept', publisher: '/pub-kept' }
const hello = { texts: ['40'], answers: 2 }
const others: readonly Subject[] = [
  { ...common, name: 'ws + ioredis, a loop', server: 'ws-redis', path: '/sub', publisher: '/pub' },
  {
    ...common,
    name: 'socket.io, Redis adapter',
    server: 'socket-io',
    path: '/socket.io/?EIO=4&transport=websocket&role=sub',
    publisher: '/socket.io/?EIO=4&transport=websocket&role=pub',
    greeting: hello,
    publisherGreeting: hello,
    wording: { before: '42["pub",', after: ']' }
  }
]
const where = `over Redis to ${NODES} nodes with ${SUBSCRIBERS} sockets each`

async function bursts(bench: Bench, { path }: Subject) {
  await bench.open(path, NODES * SUBSCRIBERS)
  await bench.publish(16)
  return bench.throughput(WARM_UP, TIME)
}

export const redisBursts: Row = {
  name: 'redis',
  title: `Fan-out ${where}, 16 messages at a time`,
  unit: 'deliveries per CPU second',
  better: 'more',
  subjects: [ours, ...others],
  control: 'ws + ioredis, a loop',
  expected: { 'app.ws': 5 },
  measure: bursts
}

export const redisHistory: Row = {
  name: 'redis-history',
  title: `The same with history (offsets, epochs, 1,000 publications kept)`,
  unit: 'deliveries per CPU second',
  better: 'more',
  subjects: [ours, kept],
  control: 'app.ws',
  expected: { 'app.ws, history': 0.5 },
  measure: bursts
}

export const redisLatency: Row = {
  name: 'redis-latency',
  title: `Delivery ${where}, ${MODEST.perSecond} publications a second: 99th percentile`,
  unit: 'microseconds',
  better: 'less',
  subjects: [ours, kept, ...others],
  control: 'ws + ioredis, a loop',
  expected: { 'app.ws': 1 },
  async measure(bench, { path }) {
    await bench.open(path, NODES * SUBSCRIBERS)
    // Warm: code that has not run a few hundred times yet is slow for everybody.
    await bench.publishAt(200, 1)
    const watched = { p99: 0 }
    const { generator, server, contention } = await bench.watch(async () => {
      watched.p99 = (await bench.publishAt(MODEST.perSecond, MODEST.seconds)).p99
    })
    return { value: watched.p99 * 1000, generator, server, contention }
  }
}
