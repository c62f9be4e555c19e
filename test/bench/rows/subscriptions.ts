import { setTimeout as sleep } from 'node:timers/promises'
import { Bench, type Subject } from '../bench.ts'
import type { Contender, Row } from '../row.ts'
import { channelGreeting, offers, tokens } from '../servers/support.ts'

// The first connections make the server compile its code. They are closed again.
const WARM_UP = 300
const CONNECTIONS = 2_000
// Channels that all connections share, and how many of them each connection has.
const SHARED = 20
const EACH = 10
const SETTLE = 300

const FIRST = 'first'
const FURTHER = 'each further'
const OWN = 'a channel of its own, more'

const sockets: Subject = { name: 'app.ws', server: 'ours.ts', path: '/subscribe', offers: offers(CONNECTIONS) }
const channelClients: Subject = {
  name: 'channel client',
  server: 'ours.ts',
  path: '/connection/websocket',
  greetings: tokens(CONNECTIONS).map((token) => channelGreeting(token))
}

/** Lists of channels, for one connection after the other. */
const sharedFrom = (first: number, count: number) =>
  Array.from({ length: SHARED }, (_, connection) =>
    Array.from({ length: count }, (_, at) => `many/shared-${(connection + first + at) % SHARED}`)
  )
const own = Array.from({ length: CONNECTIONS }, (_, connection) =>
  Array.from({ length: EACH }, (_, at) => `many/own-${connection}-${at}`)
)
const steps = [sharedFrom(0, 1), sharedFrom(1, EACH - 1), own]

/** A message that subscribes to a channel. It has one answer, since one command is under way at a time. */
function request(isSocket: boolean, channel: string): string {
  return JSON.stringify(isSocket ? [channel] : { id: 10, subscribe: { channel } })
}

/**
 * What subscriptions add to the heap of a server. Objects and buffers are counted, not resident memory: they are a few
 * hundred bytes each, which the pages of the process round away.
 */
function heapOf(subject: Subject): Contender {
  const isSocket = subject === sockets
  return {
    figures: [FIRST, FURTHER, OWN].map((what) => `${subject.name}, ${what}`),
    measure: () =>
      Bench.use(subject, async (bench) => {
        const heap = () => bench.server.ask('heap')
        const subscribe = async (lists: readonly (readonly string[])[]) => {
          const subscriptions = lists[0]?.length ?? 0
          const before = await heap()
          for (let at = 0; at < subscriptions; at++) {
            const texts = lists.map((channels) => request(isSocket, channels[at] as string))
            await bench.load.run({ do: 'ask', texts, answers: 1 })
          }
          await sleep(SETTLE)
          return ((await heap()) - before) / CONNECTIONS / subscriptions / 1024
        }
        await bench.open(WARM_UP)
        for (const lists of steps) await subscribe(lists)
        await bench.load.run({ do: 'closeAll' })
        await sleep(SETTLE)
        await bench.open(CONNECTIONS)
        // The first message of a socket costs something too.
        if (isSocket) await bench.load.run({ do: 'ask', texts: ['[]'], answers: 1 })
        await sleep(SETTLE)
        const kept: number[] = []
        for (const lists of steps) kept.push(await subscribe(lists))
        const [first, further, alone] = kept as [number, number, number]
        return [first, further, alone - further].map((value) => ({ value, contention: 0 }))
      })
  }
}

const goal = (work: string, subject: Subject, what: string, must: number, aim: number) => ({
  work: `${work}, ${subject.name}, KB`,
  figure: `${subject.name}, ${what}`,
  must,
  aim
})

export const subscriptions: Row = {
  name: 'subscriptions',
  title: `Heap of a subscription, ${CONNECTIONS} connections`,
  unit: 'KB',
  better: 'less',
  contenders: [sockets, channelClients].map(heapOf),
  goals: [
    goal('first subscription on a shared channel', sockets, FIRST, 0.8, 0.5),
    goal('first subscription on a shared channel', channelClients, FIRST, 1.2, 0.8),
    goal('each further one', sockets, FURTHER, 0.2, 0.15),
    goal('each further one', channelClients, FURTHER, 0.5, 0.35),
    goal('a channel with one subscriber, more', sockets, OWN, 1.2, 0.8),
    goal('a channel with one subscriber, more', channelClients, OWN, 1.5, 1)
  ]
}
