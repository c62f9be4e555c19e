import { Bench, type Subject } from '../bench.ts'
import { contender, type Row } from '../row.ts'
import { channelGreeting, offers, tokens } from '../servers/support.ts'

const SUBSCRIBERS = 1_000
// CPU seconds of the server.
const WARM_UP = 1
const TIME = 1.5
// Messages a second, and for how many seconds.
const MANY = { perSecond: 300, seconds: 4 }

const users = offers(SUBSCRIBERS)
const sockets: Subject = { name: 'app.ws', server: 'ours.ts', path: '/sub', publisher: '/pub', offers: users }
const api: Subject = { ...sockets, name: 'app.ws, app.realtime.publish', publisher: '/pub-api' }
const channelClients: Subject = {
  ...sockets,
  name: 'channel clients',
  path: '/connection/websocket',
  greetings: tokens(SUBSCRIBERS).map((token) => channelGreeting(token, 'bench'))
}
const loop: Subject = { name: 'ws, send() in a loop', server: 'ws.ts', path: '/sub', publisher: '/pub' }
const net: Subject = { name: 'net, one prebuilt frame', server: 'net.ts', path: '/sub', publisher: '/pub' }
const hello = { texts: ['40'], answers: 2 }
const socketIo: Subject = {
  name: 'socket.io',
  server: 'socket-io.ts',
  path: '/socket.io/?EIO=4&transport=websocket&role=sub',
  publisher: '/socket.io/?EIO=4&transport=websocket&role=pub',
  greetings: [hello],
  publisherGreeting: hello,
  wording: { before: '42["pub",', after: ']' }
}
const nesHello = (...subs: string[]) => ({
  texts: [JSON.stringify({ type: 'hello', id: 1, version: '2', subs })],
  answers: 1
})
const nes: Subject = {
  name: '@hapi/nes',
  server: 'nes.js',
  path: '/',
  greetings: [nesHello('/bench')],
  publisherGreeting: nesHello(),
  wording: { before: '{"type":"message","id":2,"message":', after: '}' }
}

const common = { unit: 'deliveries per CPU second', better: 'more' } as const

function fanOut(subjects: readonly Subject[], burst: number) {
  return subjects.map((subject) =>
    contender(subject.name, () =>
      Bench.use(subject, async (bench) => {
        await bench.open(SUBSCRIBERS)
        await bench.publish(burst)
        return bench.throughput(WARM_UP, TIME)
      })
    )
  )
}

export const bursts: Row = {
  ...common,
  name: 'fan-out',
  title: `Fan-out to ${SUBSCRIBERS} clients, 16 messages at a time`,
  contenders: fanOut([sockets, channelClients, api, loop, net, socketIo, nes], 16),
  control: loop.name,
  goals: [
    { work: 'fan-out in bursts, sockets / ws loop', figure: sockets.name, must: 16, aim: 18 },
    { work: 'fan-out in bursts, channel clients / ws loop', figure: channelClients.name, must: 15, aim: 18 }
  ].map((goal) => ({ ...goal, against: loop.name }))
}

export const single: Row = {
  ...common,
  name: 'fan-out-single',
  title: `Fan-out to ${SUBSCRIBERS} clients, one message at a time`,
  contenders: fanOut([sockets, channelClients, net, loop], 1),
  control: net.name,
  goals: [
    {
      work: 'fan-out one at a time / net with a prebuilt frame',
      figure: sockets.name,
      against: net.name,
      must: 0.96,
      aim: 1
    }
  ]
}

export const burst: Row = {
  ...common,
  name: 'fan-out-8',
  title: `Fan-out to ${SUBSCRIBERS} clients, 8 messages at a time`,
  long: true,
  contenders: fanOut([sockets, channelClients, loop], 8),
  control: loop.name,
  goals: []
}

export const sustained: Row = {
  name: 'fan-out-300',
  title: `Delivery of ${MANY.perSecond} messages a second to ${SUBSCRIBERS} clients: 99th percentile`,
  unit: 'milliseconds',
  better: 'less',
  long: true,
  contenders: [sockets, channelClients, loop].map((subject) =>
    contender(subject.name, () =>
      Bench.use(subject, async (bench) => {
        await bench.open(SUBSCRIBERS)
        // Code that has run a few hundred times only is slow in every server.
        await bench.publishAt(MANY.perSecond, 1)
        return bench.latency(MANY.perSecond, MANY.seconds)
      })
    )
  ),
  control: loop.name,
  goals: []
}
