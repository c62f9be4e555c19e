import { once } from 'node:events'
import type { Centrifuge, Subscription } from 'centrifuge'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { createPublisher } from '../../lib/publisher.ts'
import { testToken } from '../../lib/testing/index.ts'
import { centrifuge, next, record } from '../support/centrifuge.ts'
import { type ChannelNode, startChannelNode } from '../support/channel-nodes.ts'
import { RedisServer, until } from '../support/redis-server.ts'

/* The published client against three nodes, which go one after another, politely or not. */

const redis = await RedisServer.start(t)
let prefixes = 0

// How many publications the channels keep, by the beginning of their names, as channel-node.ts declares them.
const SIZES: Readonly<Record<string, number>> = { short: 5, states: 1 }

/** Nodes behind what stands for a load balancer: each connection of a client goes to the next that lives. */
async function cluster(t: Test) {
  const prefix = `channels${process.pid}-${prefixes++}`
  const nodes = await Promise.all([1, 2, 3].map(() => startChannelNode(t, redis.url, prefix)))
  let turn = 0
  class Balanced extends WebSocket {
    constructor() {
      const { origin } = nodes[turn++ % nodes.length] as ChannelNode
      super(`${origin.replace('http', 'ws')}/connection/websocket`)
    }
  }
  const publisher = await createPublisher({
    redis: redis.url,
    prefix,
    history: (channel) => ({ size: SIZES[channel.split('/')[0] as string] ?? 1_000, ttl: 60_000 })
  })
  t.teardown(() => publisher.close())
  return {
    nodes,
    publisher,
    client: (sub: string) =>
      centrifuge(t, 'ws://cluster', { websocket: Balanced as unknown as typeof WebSocket, token: testToken({ sub }) }),
    async end(node: ChannelNode, signal: NodeJS.Signals) {
      nodes.splice(nodes.indexOf(node), 1)
      const exited = once(node.process, 'exit')
      node.process.kill(signal)
      return (await exited) as [number | null, NodeJS.Signals | null]
    }
  }
}

async function join(client: Centrifuge, room: string): Promise<Subscription> {
  client.connect()
  const subscription = client.newSubscription(room, { joinLeave: true })
  subscription.subscribe()
  await subscription.ready()
  return subscription
}

t.test('three nodes are one', async (t) => {
  const { client, publisher } = await cluster(t)
  const clients = ['ada', 'bob', 'eve'].map(client)
  const rooms = await Promise.all(clients.map((each) => join(each, 'rooms/1')))
  const pids = await Promise.all(
    clients.map(async (each) => ((await each.rpc('whoami', null)).data as { pid: number }).pid)
  )
  t.equal(new Set(pids).size, 3)
  const heard = rooms.map(record)
  const [ada, bob] = rooms as [Subscription, Subscription]
  await ada.publish(1)
  await heard[2]?.upTo(1)
  await bob.publish(2)
  await heard[2]?.upTo(2)
  await publisher.publish('rooms/1', 3)
  for (const each of heard) t.same(await each.upTo(3), [1, 2, 3])
  t.match(await ada.presenceStats(), { numClients: 3, numUsers: 3 })
  const left = next(ada, 'leave')
  clients[2]?.disconnect()
  t.match(await left, { info: { user: 'eve' } })
  t.match(await bob.presenceStats(), { numClients: 2, numUsers: 2 })
  const page = await bob.history({ limit: 2, reverse: true })
  t.same(
    page.publications.map(({ data, offset }) => [data, offset]),
    [
      [3, 3],
      [2, 2]
    ]
  )
  const mine = next(clients[0] as Centrifuge, 'publication')
  await publisher.publish('users/ada', 'for you')
  t.match(await mine, { channel: 'users/ada', data: 'for you' })
})

for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
  t.test(`nothing is lost, and nothing comes twice, when nodes end by ${signal}`, async (t) => {
    const { nodes, client, publisher, end } = await cluster(t)
    const clients = ['ada', 'bob', 'eve'].map(client)
    const rooms = await Promise.all(clients.map((each) => join(each, 'rooms/1')))
    const heard = rooms.map(record)
    const codes: number[] = []
    for (const each of clients) each.on('connecting', ({ code }) => codes.push(code))
    const resubscribed: boolean[] = []
    for (const room of rooms) room.on('subscribed', ({ recovered }) => resubscribed.push(recovered))

    let count = 0
    let publishing = true
    const published = (async () => {
      while (publishing) {
        await publisher.publish('rooms/1', ++count)
        // At the pace of whoever is connected, so that history holds all that someone may miss.
        await Promise.race(heard.map((each) => each.upTo(count)))
      }
    })()
    const [first, second] = [...nodes] as [ChannelNode, ChannelNode]
    for (const node of [first, second]) {
      const back = once(rooms[0] as never, 'subscribed')
      const others = Promise.race(rooms.map((room) => once(room as never, 'subscribed')))
      const [code] = await end(node, signal)
      if (signal === 'SIGTERM') t.equal(code, 0)
      await Promise.race([back, others])
    }
    publishing = false
    await published
    const all = Array.from({ length: count }, (_, n) => n + 1)
    for (const each of heard) t.same(await each.upTo(count), all)
    t.ok(resubscribed.length >= 2)
    t.notOk(resubscribed.includes(false), 'each time everything was recovered')
    if (signal === 'SIGTERM') t.same([...new Set(codes)], [3001], 'shutdown')
    // Who went with a node is gone at once where it drained, and after the entry's life where it was killed.
    const stats = () => (rooms[0] as Subscription).presenceStats()
    await until(async () => (await stats()).numClients === 3)
    t.match(await stats(), { numClients: 3, numUsers: 3 })
  })
}

t.test('a drained node takes its presence along', async (t) => {
  const { nodes, client, end } = await cluster(t)
  const [ada, bob] = ['ada', 'bob'].map(client) as [Centrifuge, Centrifuge]
  const room = await join(ada, 'rooms/1')
  const bobs = await join(bob, 'rooms/1')
  const first = (await bobs.presence()).clients
  // Bob's own arrival may still be on its way to him.
  const events: string[] = []
  bobs.on('leave', ({ info }) => events.push(`leave ${info.user}`))
  bobs.on('join', ({ info }) => info.user === 'bob' || events.push(`join ${info.user}`))
  const again = next(room, 'subscribed')
  await end(nodes[0] as ChannelNode, 'SIGTERM')
  await again
  await until(async () => events.includes('join ada'))
  t.same(events, ['leave ada', 'join ada'])
  const { clients } = await bobs.presence()
  t.equal(Object.keys(clients).length, 2)
  t.notSame(Object.keys(clients).sort(), Object.keys(first).sort())
})

t.test('recovered: false where history was trimmed while the client was away', async (t) => {
  const { client, publisher } = await cluster(t)
  const ada = client('ada')
  const room = await join(ada, 'short/1')
  const heard = record(room)
  await publisher.publish('short/1', 1)
  await heard.upTo(1)
  ada.disconnect()
  for (let n = 2; n <= 10; n++) await publisher.publish('short/1', n)
  const again = next(room, 'subscribed')
  ada.connect()
  t.match(await again, { wasRecovering: true, recovered: false, streamPosition: { offset: 10 } })
  await publisher.publish('short/1', 11)
  t.same(await heard.upTo(2), [1, 11])
})

t.test('deltas, filters and newest states, while nodes are killed', async (t) => {
  const { client, publisher, nodes, end } = await cluster(t)
  const long = Array.from({ length: 60 }, (_, n) => `${n * 7919}`).join(' ')
  const tagsFilter = { key: 'parity', cmp: 'eq', val: 'even' } as const
  const deltas: Subscription[] = []
  const all: { subscription: Subscription; heard: ReturnType<typeof record>; expects: (n: number) => boolean }[] = []
  for (let n = 0; n < 3; n++) {
    const one = client(`user-${n}`)
    one.connect()
    const text = one.newSubscription('texts/1', { delta: 'fossil' })
    const filtered = one.newSubscription('prices/1', { tagsFilter })
    const limited = one.newSubscription('prices/2', { data: { region: 'eu' } })
    const state = one.newSubscription('states/1')
    deltas.push(text)
    const rows = [
      [text, () => true],
      [filtered, (i: number) => i % 2 === 0],
      [limited, (i: number) => i % 3 === 0],
      [state, (i: number) => i === 89]
    ] as const
    for (const [subscription, expects] of rows) {
      all.push({ subscription, heard: record(subscription), expects })
      subscription.subscribe()
      await subscription.ready()
    }
  }
  const value = (i: number) => `${long.slice(i)} ${i}`
  for (let i = 0; i < 90; i++) {
    const tags = { parity: i % 2 === 0 ? 'even' : 'odd', region: i % 3 === 0 ? 'eu' : 'us' }
    for (const channel of ['texts/1', 'prices/1', 'prices/2', 'states/1'])
      await publisher.publish(channel, value(i), { tags })
    if (i === 30) void end(nodes[0] as ChannelNode, 'SIGKILL')
    if (i === 60) void end(nodes[0] as ChannelNode, 'SIGTERM')
  }
  for (const { subscription, heard, expects } of all) {
    const expected = Array.from({ length: 90 }, (_, i) => i).flatMap((i) => (expects(i) ? [value(i)] : []))
    const name = subscription.channel
    if (name !== 'states/1') t.same(await heard.upTo(expected.length), expected, name)
    else {
      await until(async () => heard.data.at(-1) === value(89))
      t.equal(new Set(heard.data).size, heard.data.length, `${name}: none twice`)
    }
  }
  for (const subscription of deltas) {
    const { numFullPayloads, numDeltaPayloads } = subscription.deltaStats()
    t.equal(numFullPayloads + numDeltaPayloads, 90)
    t.ok(numDeltaPayloads > 30, `${numDeltaPayloads} deltas`)
  }
})
