import { Registry } from 'prom-client'
import { test } from 'tap'
import { readFigures } from '../../../demo/dashboard/figures.ts'
import { DashboardNode } from '../../../demo/dashboard/node.ts'
import { connect, testToken } from '../../../lib/testing/index.ts'
import { buildApp } from '../../support/app.ts'

test('figures are what the metrics say', async (t) => {
  const metrics = new Registry()
  const { app } = await buildApp(t, { metrics })
  app.ws('/echo', async (socket) => {
    for await (const message of socket.messages()) socket.sendJson(message)
  })
  const before = await readFigures(metrics)
  t.match(before, { connections: {}, brokerUp: true, draining: false, received: 0, closes: {}, refused: {} })
  t.same(before.drained, { closed: 0, terminated: 0 })
  t.equal(before.lag.counts.length, before.lag.bounds.length + 1)
  t.ok(before.lag.bounds.length > 5 && before.lag.counts.every((count) => count === 0))

  const [socket, other] = await Promise.all([1, 2].map(() => connect(app, '/echo', { token: testToken({ sub: 'a' }) })))
  socket?.send('hello')
  await socket?.next()
  await other?.close(1000)
  await t.rejects(connect(app, '/echo', {}))
  const after = await readFigures(metrics)
  t.match(after, { connections: { '/echo': 1 }, received: 1, receivedBytes: 7, sent: 1, closes: { 1000: 1 } })
  t.same(after.refused, { unauthorized: 1 })
})

test('without metrics every figure is nothing', async (t) => {
  const { lag, connections, sent, brokerUp } = await readFigures(new Registry())
  t.same(
    { lag, connections, sent, brokerUp },
    { lag: { bounds: [], counts: [] }, connections: {}, sent: 0, brokerUp: false }
  )
})

test('a node: one snapshot for all who ask at once, none at the same time as another', async (t) => {
  const metrics = new Registry()
  await (await buildApp(t, { metrics })).app.ready()
  const node = new DashboardNode(metrics, 'memory')
  const start = Date.now()
  const first = await node.sample()
  t.match(first, { node: node.id, name: 'server', pid: process.pid, last: false, broker: { kind: 'memory' } })
  t.ok(first.at >= start && first.memory > 1e6 && first.busy >= 0 && first.busy <= 1)
  const again = await node.sample()
  t.ok(again === first || again.at - first.at >= 300, 'the same, for a moment')
  const last = await node.farewell()
  t.ok(last.last && last.at > first.at)
  t.not(node.id, new DashboardNode(metrics, 'memory').id)
})

test('a node notes since when its broker is there, or away', async (t) => {
  const metrics = new Registry()
  const { app } = await buildApp(t, { metrics })
  await app.ready()
  const node = new DashboardNode(metrics, 'redis')
  const { broker } = await node.sample()
  await node.glance()
  t.equal((await node.farewell()).broker.since, broker.since, 'nothing has changed')
  await app.close()
  const closed = Date.now()
  await node.glance()
  const away = await node.farewell()
  t.notOk(away.brokerUp)
  t.ok(away.broker.since >= closed)
})
