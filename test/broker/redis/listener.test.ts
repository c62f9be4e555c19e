import { setImmediate as nextTurn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { RedisListener } from '../../../lib/broker/redis/listener.ts'
import { DEFAULT_TIMES } from '../../../lib/broker/redis/options.ts'
import { fakeTimers } from '../../support/timers.ts'
import { FakeClient, said } from './fake-client.ts'

const PROBE = 1_000

function rig(t: Test, make?: (client: FakeClient, number: number) => void) {
  const { pass } = fakeTimers(t)
  const clients: FakeClient[] = []
  const told: unknown[] = []
  const probed: string[] = []
  const listener = new RedisListener({
    isCluster: true,
    times: { ...DEFAULT_TIMES, probeInterval: PROBE },
    create: () => {
      const client = new FakeClient()
      make?.(client, clients.length)
      clients.push(client)
      return client.asRedis
    },
    message: (topic, message) => told.push([topic, message.toString()]),
    probe: async (topic) => probed.push(topic),
    adopted: () => told.push('adopted'),
    lost: () => told.push('lost'),
    moved: () => told.push('moved'),
    failed: () => {},
    isFatal: () => false
  })
  t.teardown(() => listener.close())
  const news = () => told.splice(0)
  return { listener, clients, probed, news, pass }
}

t.test('it listens to a server of a cluster, and to itself there', async (t) => {
  const { listener, clients, probed, news, pass } = rig(t)
  listener.probeTopic = 'own:{1}'
  t.equal(listener.hasAttempted, false)
  await listener.start()
  t.equal(listener.hasAttempted, true)
  t.strictSame(news(), ['adopted'])
  const [client] = clients as [FakeClient]
  t.strictSame(client.callsOf('ssubscribe'), ['own:{1}'])
  t.strictSame(client.callsOf('sunsubscribe'), ['own:{1}none'])
  client.emit('smessageBuffer', Buffer.from('room'), Buffer.from('x'))
  client.emit('smessageBuffer', Buffer.from('own:{1}'), Buffer.from('1'))
  t.strictSame(news(), [['room', 'x']])
  listener.probe()
  await pass(PROBE * 1.1)
  t.strictSame(probed, ['own:{1}'])
  listener.probeTopic = 'own:{2}'
  t.strictSame(listener.subscriptions.topics, ['own:{2}'])
  listener.probeTopic = undefined
  t.strictSame(listener.subscriptions.topics, [])
  await pass(PROBE * 1.1)
  await pass(PROBE * 1.1)
  t.strictSame([...new Set(probed)], ['own:{1}'], 'without a channel of its own it is not probed')
})

t.test('without a channel of its own it listens all the same', async (t) => {
  const { listener, clients } = rig(t)
  await listener.start()
  t.strictSame(clients[0]?.callsOf('sunsubscribe'), [])
  await listener.subscriptions.add('room')
  t.strictSame(clients[0]?.callsOf('ssubscribe'), ['room'])
})

t.test('only the connection in use tells of slots that have moved', async (t) => {
  const { listener, clients, news } = rig(t)
  await listener.start()
  listener.replace()
  await nextTurn()
  await nextTurn()
  t.equal(clients.length, 2)
  news()
  clients[0]?.emit('moved')
  t.strictSame(news(), [])
  clients[1]?.emit('moved')
  t.strictSame(news(), ['moved'])
})

t.test('what came while a connection was made, and cannot be subscribed on it, has it replaced', async (t) => {
  const { listener, clients } = rig(t, (client, number) => {
    if (number > 0) return
    client.answers.sunsubscribe = () => {
      listener.subscriptions.exchange([], ['late'])
    }
    client.answers.ssubscribe = (...topics) => {
      if (topics.includes('late')) throw said('OOM')
    }
  })
  listener.probeTopic = 'own:{1}'
  await listener.start()
  await nextTurn()
  await nextTurn()
  t.equal(clients.length, 2)
  t.strictSame(clients[1]?.callsOf('ssubscribe').join(' ').split(' ').sort(), ['late', 'own:{1}'])
})

t.test('a connection that is gone is reported', async (t) => {
  const { listener, clients, news } = rig(t)
  await listener.start()
  news()
  clients[0]?.end()
  await nextTurn()
  await nextTurn()
  t.strictSame(news(), ['lost', 'adopted'])
})
