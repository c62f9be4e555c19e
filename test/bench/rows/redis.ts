import { Bench, type Subject } from '../bench.ts'
import { contender, type Row } from '../row.ts'
import { channelGreeting, channelWording, offers, type Publishing, tokens } from '../servers/support.ts'

const NODES = 2
const SUBSCRIBERS = 1_000
// CPU seconds of the servers and Redis.
const WARM_UP = 1.5
const TIME = 2
// Publications a second, and for how many seconds.
const MODEST = { perSecond: 10, seconds: 8 }

const users = tokens(NODES * SUBSCRIBERS)
const common = { nodes: NODES, redis: true } as const
const sockets: Subject = {
  ...common,
  name: 'app.ws',
  server: 'ours.ts',
  path: '/sub',
  publisher: '/pub',
  offers: offers(NODES * SUBSCRIBERS)
}
const kept: Subject = { ...sockets, name: 'app.ws, history', path: '/sub-kept', publisher: '/pub-kept' }
const channelClients: Subject = {
  ...common,
  name: 'channel clients',
  server: 'ours.ts',
  path: '/connection/websocket',
  greetings: users.map((token) => channelGreeting(token, 'bench')),
  publisherGreeting: channelGreeting(users[0] as string),
  wording: channelWording('bench')
}
const loop: Subject = {
  ...common,
  name: 'ws + ioredis, a loop',
  server: 'ws-redis.ts',
  path: '/sub',
  publisher: '/pub'
}
const hello = { texts: ['40'], answers: 2 }
const socketIo: Subject = {
  ...common,
  name: 'socket.io, Redis adapter',
  server: 'socket-io.ts',
  path: '/socket.io/?EIO=4&transport=websocket&role=sub',
  publisher: '/socket.io/?EIO=4&transport=websocket&role=pub',
  greetings: [hello],
  publisherGreeting: hello,
  wording: { before: '42["pub",', after: ']' }
}
const place = `over Redis to ${NODES} nodes with ${SUBSCRIBERS} clients each`

function bursts(subjects: readonly Subject[]) {
  return subjects.map((subject) =>
    contender(subject.name, () =>
      Bench.use(subject, async (bench) => {
        await bench.open(NODES * SUBSCRIBERS)
        await bench.publish(16)
        return bench.throughput(WARM_UP, TIME)
      })
    )
  )
}

export const redisBursts: Row = {
  name: 'redis',
  title: `Fan-out ${place}, 16 messages at a time`,
  unit: 'deliveries per CPU second',
  better: 'more',
  contenders: bursts([channelClients, sockets, socketIo, loop]),
  control: socketIo.name,
  goals: [
    {
      work: 'Redis, two nodes, bursts of a channel client / socket.io',
      figure: channelClients.name,
      against: socketIo.name,
      must: 7,
      aim: 9
    }
  ]
}

export const redisHistory: Row = {
  name: 'redis-history',
  title: `Fan-out ${place}, 16 messages at a time, with and without history`,
  unit: 'deliveries per CPU second',
  better: 'more',
  long: true,
  contenders: bursts([sockets, kept]),
  control: sockets.name,
  goals: []
}

export const redisLatency: Row = {
  name: 'redis-latency',
  title: `Delivery ${place}, ${MODEST.perSecond} publications a second: 99th percentile`,
  unit: 'milliseconds',
  better: 'less',
  long: true,
  contenders: [sockets, kept, loop, socketIo].map((subject) =>
    contender(subject.name, () =>
      Bench.use(subject, async (bench) => {
        await bench.open(NODES * SUBSCRIBERS)
        // Code that has run a few hundred times only is slow in every server.
        await bench.publishAt(200, 1)
        return bench.latency(MODEST.perSecond, MODEST.seconds)
      })
    )
  ),
  control: loop.name,
  goals: []
}

const publisher = (name: string, server: string): Subject => ({ name, server, path: '', redis: true })
const ours = publisher('app.realtime.publish', 'publish-ours.ts')
const pipeline = publisher('ioredis, a pipeline of the same script', 'publish-pipeline.ts')

/** CPU time of the node alone: Redis does the same for both. */
export const redisPublish: Row = {
  name: 'redis-publish',
  title: 'Publishes with history over Redis, to 64 channels at a time',
  unit: 'publishes per CPU second of the node',
  better: 'more',
  contenders: [ours, pipeline].map((subject) =>
    contender(subject.name, () =>
      Bench.use(subject, async (bench) => {
        const { published, cpu } = await bench.server.ask<Publishing>('publish')
        return { value: published / cpu, contention: 0 }
      })
    )
  ),
  control: pipeline.name,
  goals: [
    {
      work: 'publishes with history per CPU second / pipeline',
      figure: ours.name,
      against: pipeline.name,
      must: 1,
      aim: 1.1
    }
  ]
}
