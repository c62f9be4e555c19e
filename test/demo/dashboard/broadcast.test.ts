import { EventEmitter, once } from 'node:events'
import type { FastifyBaseLogger } from 'fastify'
import type { Realtime } from 'fastify-realtime'
import { type Test, test } from 'tap'
import { Broadcast, CONNECTIONS, NODES } from '../../../demo/dashboard/broadcast.ts'
import type { DashboardNode } from '../../../demo/dashboard/node.ts'

interface Said {
  readonly channel: string
  readonly data: Record<string, unknown>
}

/** A cluster with as many watchers as `watchers` says, and a node that counts how often it is sampled. */
function stage(t: Test) {
  const events = new EventEmitter()
  const state = {
    watchers: 0,
    queries: [] as unknown[],
    failure: undefined as Error | undefined,
    samples: 0,
    published: [] as Said[],
    warnings: [] as object[]
  }
  const realtime = {
    async presenceStats(channel: string) {
      t.equal(channel, NODES)
      events.emit('asked')
      if (state.failure !== undefined) throw state.failure
      return { connections: state.watchers, users: 1 }
    },
    presence: async () => state.queries.map((channelInfo) => ({ channelInfo })),
    connections: () => [],
    async publish(channel: string, data: Record<string, unknown>) {
      state.published.push({ channel, data })
      events.emit(channel, data)
    }
  }
  const node = {
    id: 'n1',
    name: 'server',
    glance: async () => undefined,
    sample: async () => ({ sample: ++state.samples }),
    farewell: async () => ({ sample: ++state.samples, last: true })
  }
  const broadcast = new Broadcast({
    realtime: realtime as unknown as Realtime,
    node: node as unknown as DashboardNode,
    log: { warn: (details: object) => void state.warnings.push(details) } as FastifyBaseLogger,
    period: 10
  })
  // Its own timer holds up nobody's end, not even a test's.
  const holding = setInterval(() => undefined, 1_000)
  t.teardown(() => {
    clearInterval(holding)
    return broadcast.stop()
  })
  broadcast.start()
  const times = async (event: string, count: number) => {
    for (let seen = 0; seen < count; seen++) await once(events, event)
  }
  return { state, broadcast, times }
}

const query = (search: string) => ({ order: 'age', descending: false, search })
const of = ({ published }: { published: Said[] }, channel: string) =>
  published.filter((said) => said.channel === channel)

test('while nobody watches a node is not sampled, and says nothing, not even as it goes', async (t) => {
  const { state, broadcast, times } = stage(t)
  await times('asked', 5)
  await broadcast.stop()
  t.same([state.samples, state.published], [0, []])
})

test('with watchers it says how it is, and that it goes', async (t) => {
  const { state, broadcast, times } = stage(t)
  await times('asked', 2)
  state.watchers = 1
  await times(NODES, 3)
  t.equal(state.samples, of(state, NODES).length)
  t.same(of(state, CONNECTIONS), [], 'and nothing of connections, which nobody asked for')
  await broadcast.stop()
  t.match(state.published.at(-1), { channel: NODES, data: { last: true } })
  const { length } = state.published
  await broadcast.stop()
  t.equal(of(state, NODES).length, length + 1)
})

test('each query is answered once, however many have it, and no more than eight', async (t) => {
  const { state, times } = stage(t)
  state.watchers = 3
  state.queries = [query('a'), query('a'), 'rubbish', null, query('b')]
  await times(CONNECTIONS, 4)
  const answers = (count: number) =>
    of(state, CONNECTIONS)
      .slice(-count)
      .map(({ data }) => data.query)
  t.same(new Set(answers(4)), new Set(['+age:a', '+age:b']))
  t.match(of(state, CONNECTIONS)[0]?.data, { node: 'n1', query: '+age:a', total: 0, found: 0, rows: [] })
  state.queries = Array.from({ length: 20 }, (_, at) => query(`q${at}`))
  await times(CONNECTIONS, 24)
  t.equal(new Set(answers(16)).size, 8)
})

test('while Redis is away it waits, in silence; what it did not expect is said', async (t) => {
  const { state, times } = stage(t)
  state.failure = Object.assign(new Error('away'), { code: 'FST_RT_UNAVAILABLE' })
  await times('asked', 3)
  state.failure = Object.assign(new Error('who knows'), { code: 'FST_RT_UNKNOWN_OUTCOME' })
  await times('asked', 3)
  t.same(state.warnings, [])
  state.failure = new Error('a bug')
  await times('asked', 2)
  t.match(state.warnings[0], { err: { message: 'a bug' } })
  state.failure = undefined
  state.watchers = 1
  await times(NODES, 1)
})
