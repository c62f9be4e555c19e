import t from 'tap'
import type { Hub } from '../../lib/hub/hub.ts'
import { connectionInfo, readConnectionInfo } from '../../lib/node/connection-info.ts'
import { sessionRig } from '../session/session-rig.ts'
import { FakeConnection } from '../support/fake-connection.ts'

const stats = { messagesIn: 1, messagesOut: 2, bytesIn: 3, bytesOut: 4, dropped: 5, rejected: 6, queued: 7, age: 8 }
const hub = { channelsOf: () => ['of the hub'] } as unknown as Hub
const route = '/live'

t.test('what is said of a connection is read by another node', async (t) => {
  const figures = { bufferedAmount: 6, stats }
  const plain = Object.assign(new FakeConnection({ id: 'c0', user: { sub: 'ada' }, route }), figures)
  plain.roundTripTime = 5
  const rig = await sessionRig(t, { authenticated: false })
  rig.channel('a')
  const client = await rig.client({ user: null })
  await client.call({ subscribe: { channel: 'a' } })
  Object.assign(client.connection, figures)
  const told = [plain, client.connection].map((connection) => connectionInfo(connection, hub))
  t.strictSame(told, [
    {
      id: 'c0',
      user: 'ada',
      route: '/live',
      transport: 'websocket',
      roundTripTime: 5,
      bufferedAmount: 6,
      subscriptions: ['of the hub'],
      stats
    },
    {
      id: 'c1',
      user: undefined,
      route: '/',
      transport: 'websocket',
      roundTripTime: undefined,
      bufferedAmount: 6,
      subscriptions: ['a'],
      stats
    }
  ])
  t.strictSame(
    told.map((info) => readConnectionInfo(JSON.parse(JSON.stringify({ ...info, more: 1 })))),
    told
  )
  const { transport: _, ...older } = told[0] as (typeof told)[0]
  t.strictSame(readConnectionInfo(older), told[0], 'an older node')
  t.equal(readConnectionInfo({ ...older, transport: 'pigeon' }), undefined)
})

t.test('anything else is nothing', async (t) => {
  const good = { id: 'c', user: 'u', route: '/', roundTripTime: 1, bufferedAmount: 0, subscriptions: ['a'], stats }
  t.ok(readConnectionInfo(good))
  for (const wrong of [
    undefined,
    null,
    'c',
    [],
    {},
    ...Object.keys(good).map((name) => ({ ...good, [name]: name === 'bufferedAmount' ? 'x' : 7, ...wrongOf(name) })),
    { ...good, subscriptions: [1] },
    { ...good, stats: { ...stats, age: '8' } }
  ]) {
    t.equal(readConnectionInfo(wrong), undefined, JSON.stringify(wrong))
  }
})

function wrongOf(name: string): object {
  return name === 'roundTripTime' ? { roundTripTime: 'fast' } : name === 'bufferedAmount' ? { bufferedAmount: '1' } : {}
}
