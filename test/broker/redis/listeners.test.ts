import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { RedisListeners } from '../../../lib/broker/redis/listeners.ts'
import { DEFAULT_TIMES } from '../../../lib/broker/redis/options.ts'
import type { RedisServers } from '../../../lib/broker/redis/servers.ts'
import { idle } from '../../support/idle.ts'
import { pending } from '../../support/pending.ts'
import { fakeTimers } from '../../support/timers.ts'
import { FakeClient, said } from './fake-client.ts'

/* Over real servers: cluster.test.ts. */

const UNAVAILABLE = { code: 'FST_RT_UNAVAILABLE' }
const MOVED = said('MOVED 1 10.0.0.1:2')

/** Servers a, b…; a channel is of the server that it begins with, unless it is told otherwise. */
class FakeServers {
  readonly names = new Set(['a', 'b'])
  readonly owners = new Map<string, string | undefined>()
  readonly hasTags = new Set(['a', 'b', 'c'])
  refreshes = 0
  refreshed = () => {}

  ownerOf(topic: string): string | undefined {
    return this.owners.has(topic) ? this.owners.get(topic) : topic[0]
  }

  nodeOf(server: string): Redis {
    return server as unknown as Redis
  }

  tagOf(server: string): string | undefined {
    return this.hasTags.has(server) ? server : undefined
  }

  async refresh(): Promise<void> {
    this.refreshes++
    this.refreshed()
  }

  get asServers(): RedisServers {
    return this as unknown as RedisServers
  }
}

function rig(t: Test, make?: (client: FakeClient, server: string, number: number) => void) {
  const { pass } = fakeTimers(t)
  const clients = new Map<string, FakeClient[]>()
  const told: unknown[] = []
  const servers = new FakeServers()
  const listeners = new RedisListeners({
    isCluster: true,
    times: { ...DEFAULT_TIMES, reconnectDelay: [10, 10] },
    create: (node) => {
      const client = new FakeClient()
      const server = node as unknown as string
      const made = clients.get(server) ?? []
      make?.(client, server, made.length)
      clients.set(server, [...made, client])
      return client.asRedis
    },
    message: () => {},
    probeTopic: (tag) => `${tag}:own`,
    probe: async () => {},
    adopted: (server) => told.push(`${server} adopted`),
    lost: (server) => told.push(`${server} lost`),
    missed: (topics) => told.push(['missed', ...topics]),
    failed: () => {},
    isFatal: () => false
  })
  t.teardown(() => listeners.close())
  const clientOf = (server: string) => clients.get(server)?.at(-1) as FakeClient
  const news = () => told.splice(0)
  const start = async () => {
    listeners.rebalance(servers.asServers)
    await listeners.start()
    news()
  }
  return { listeners, servers, clients, clientOf, news, pass, start }
}

t.test('each channel is subscribed where its slot is', async (t) => {
  const { listeners, servers, clientOf, start } = rig(t)
  await t.rejects(listeners.add('a:room'), UNAVAILABLE, 'no server is known yet')
  await start()
  await listeners.add('a:room')
  await listeners.add('b:room')
  t.strictSame(clientOf('a').callsOf('ssubscribe'), ['a:own', 'a:room'])
  t.strictSame(clientOf('b').callsOf('ssubscribe'), ['b:own', 'b:room'])
  t.strictSame(listeners.topics(), ['a:own', 'a:room', 'b:own', 'b:room'])
  t.strictSame(listeners.topics('b'), ['b:own', 'b:room'])
  t.ok(listeners.isListening('a') && listeners.isListening('b'))
  t.notOk(listeners.isListening('c'))
  servers.owners.set('nobody', undefined)
  await t.rejects(listeners.add('nobody'), UNAVAILABLE)
  await listeners.remove('b:room')
  await listeners.remove('c:room')
  t.strictSame(clientOf('b').callsOf('sunsubscribe'), ['b:ownnone', 'b:room'])
  t.strictSame(listeners.topics('b'), ['b:own'])
})

t.test('case 151: a server that is away at the start is no reason to wait', async (t) => {
  const { listeners, servers, clientOf, news, pass } = rig(t, (client, server, number) => {
    if (server === 'b' && number === 0) client.answers.connect = () => Promise.reject(new Error('away'))
  })
  listeners.rebalance(servers.asServers)
  await listeners.start()
  t.strictSame(news().sort(), ['a adopted', 'b lost', ['missed', 'a:own']])
  await t.rejects(listeners.add('b:room'), UNAVAILABLE)
  await listeners.add('a:room')
  await pass(10)
  t.strictSame(news(), ['b adopted', ['missed', 'b:own']])
  await listeners.add('b:room')
  t.strictSame(clientOf('b').callsOf('ssubscribe'), ['b:own', 'b:room'])
})

t.test('case 151: one connection is lost, and only its channels may have missed something', async (t) => {
  const { listeners, clientOf, news, start } = rig(t)
  await start()
  await listeners.add('a:room')
  await listeners.add('b:room')
  clientOf('b').end()
  await idle()
  t.strictSame(news(), ['b lost', 'b adopted', ['missed', 'b:own', 'b:room']])
})

t.test('slots get another server: its channels are subscribed there, and may have missed something', async (t) => {
  const { listeners, servers, clientOf, news, start } = rig(t)
  await start()
  await listeners.add('b:room')
  await listeners.add('b:hall')
  await listeners.add('b:kept')
  const gone = clientOf('b')
  servers.names.delete('b')
  servers.names.add('c')
  for (const topic of ['b:room', 'b:hall', 'b:own']) servers.owners.set(topic, 'c')
  servers.owners.set('b:kept', undefined)
  listeners.rebalance(servers.asServers)
  await idle()
  t.strictSame(clientOf('c').callsOf('ssubscribe'), ['c:own', 'b:room', 'b:hall'], 'by the first connection to it')
  t.strictSame(news(), ['c adopted', ['missed', 'c:own', 'b:room', 'b:hall']])
  t.strictSame(listeners.topics('b'), ['b:kept'], 'a channel that nobody has stays')
  t.equal(gone.ended, false)

  servers.owners.set('b:kept', 'a')
  listeners.rebalance(servers.asServers)
  await idle()
  t.strictSame(news(), [['missed', 'b:kept']])
  t.strictSame(clientOf('a').callsOf('ssubscribe'), ['a:own', 'b:kept'])
  t.equal(gone.ended, true)
  t.notOk(listeners.isListening('b'))
})

t.test('a node’s own channel follows the slots that a server has', async (t) => {
  const { listeners, servers, clientOf, start } = rig(t)
  await start()
  servers.owners.set('a:own', 'b')
  servers.tagOf = (server) => (server === 'a' ? 'a2' : server)
  listeners.rebalance(servers.asServers)
  await idle()
  t.strictSame(listeners.topics('a'), ['a2:own'])
  t.strictSame(clientOf('a').callsOf('ssubscribe'), ['a:own', 'a2:own'])
  servers.owners.set('a2:own', 'b')
  servers.tagOf = () => undefined
  listeners.rebalance(servers.asServers)
  t.strictSame(listeners.topics('a'), [], 'no tag falls on its slots')
})

t.test('a server says that a channel is not its any more', async (t) => {
  await t.test('and others know of it at once', async (t) => {
    const { listeners, servers, clientOf, news, start } = rig(t)
    await start()
    await listeners.add('a:room')
    await listeners.add('a:kept')
    servers.refreshed = () => {
      servers.owners.set('a:room', 'b')
      listeners.rebalance(servers.asServers)
    }
    clientOf('a').emit('moved')
    clientOf('a').emit('moved')
    await idle()
    t.equal(servers.refreshes, 1)
    t.strictSame(clientOf('b').callsOf('ssubscribe'), ['b:own', 'a:room'])
    t.strictSame(news(), [
      ['missed', 'a:room'],
      ['missed', 'a:own', 'a:kept']
    ])
  })

  await t.test('and others learn of it later', async (t) => {
    const { listeners, servers, clientOf, news, pass, start } = rig(t)
    await start()
    await listeners.add('a:room')
    clientOf('a').answers.ssubscribe = (...topics) => {
      if (topics.includes('a:room')) throw MOVED
    }
    clientOf('a').emit('moved')
    await idle()
    t.equal(servers.refreshes, 1)
    t.strictSame(news(), [])
    servers.refreshed = () => {
      servers.owners.set('a:room', 'b')
      listeners.rebalance(servers.asServers)
    }
    await pass(50)
    t.equal(servers.refreshes, 2)
    t.strictSame(news(), [
      ['missed', 'a:room'],
      ['missed', 'a:own']
    ])
    await pass(50)
    t.equal(servers.refreshes, 2)
  })

  await t.test('to a channel that is being added', async (t) => {
    const { listeners, servers, clientOf, start } = rig(t)
    await start()
    clientOf('a').answers.ssubscribe = () => Promise.reject(MOVED)
    await t.rejects(listeners.add('a:room'), UNAVAILABLE, 'whose server nobody knows')
    servers.refreshed = () => {
      servers.owners.set('a:room', 'b')
    }
    await listeners.add('a:room')
    t.strictSame(clientOf('b').callsOf('ssubscribe'), ['b:own', 'a:room'])
  })

  await t.test('to a new connection', async (t) => {
    const { listeners, servers, clientOf, start } = rig(t, (client, server, number) => {
      if (server === 'a' && number === 1) client.answers.ssubscribe = () => Promise.reject(MOVED)
    })
    await start()
    await listeners.add('a:room')
    clientOf('a').end()
    await idle()
    t.equal(servers.refreshes, 1)
  })
})

t.test('a channel that is removed while it is being added is not added again', async (t) => {
  const { listeners, servers, clientOf, start } = rig(t)
  await start()
  const answer = pending()
  clientOf('a').answers.ssubscribe = () => answer.promise.then(() => Promise.reject(MOVED))
  const adding = t.rejects(listeners.add('a:room'), UNAVAILABLE)
  servers.refreshed = () => {
    servers.owners.set('a:room', 'b')
  }
  await listeners.remove('a:room')
  answer.resolve()
  await adding
  t.strictSame(listeners.topics(), ['a:own', 'b:own'])
})

t.test('one that is added again meanwhile is', async (t) => {
  const { listeners, clientOf, start } = rig(t)
  await start()
  const answer = pending()
  clientOf('a').answers.ssubscribe = () => answer.promise
  const first = listeners.add('a:room')
  const second = listeners.add('a:room')
  answer.resolve()
  await Promise.all([first, second])
  t.strictSame(listeners.topics('a'), ['a:own', 'a:room'])
})

t.test('a connection on which a channel cannot be subscribed is replaced', async (t) => {
  const { listeners, servers, clients, clientOf, news, start } = rig(t)
  await start()
  await listeners.add('a:room')
  clientOf('b').answers.ssubscribe = () => Promise.reject(new Error('Connection is closed.'))
  servers.owners.set('a:room', 'b')
  listeners.rebalance(servers.asServers)
  await idle()
  t.equal(clients.get('b')?.length, 2)
  t.strictSame(news(), ['b adopted', ['missed', 'b:own', 'a:room']])
})

t.test('replaced and closed', async (t) => {
  const { listeners, servers, clients, clientOf, start } = rig(t)
  await start()
  listeners.replace()
  await idle()
  t.strictSame(
    [...clients.values()].map(({ length }) => length),
    [2, 2]
  )
  clientOf('a').emit('moved')
  listeners.close()
  await idle()
  await nextTurn()
  t.ok([...clients.values()].flat().every(({ ended }) => ended))
  t.equal(servers.refreshes, 1)
})
