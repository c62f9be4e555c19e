import { once } from 'node:events'
import { type AddressInfo, createServer, connect as tcpConnect } from 'node:net'
import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { buildApp } from '../support/app.ts'
import { connect } from '../support/connect.ts'
import { Crowd } from '../support/crowd.ts'
import { rawUpgrade } from '../support/raw-socket.ts'
import { until } from '../support/redis-server.ts'

/** A proxy that, as load balancers do, cuts what is idle for so many milliseconds. */
async function idleProxy(t: Test, target: number, idle: number): Promise<number> {
  const proxy = createServer((client) => {
    const server = tcpConnect(target, '127.0.0.1')
    for (const [from, to] of [
      [client, server],
      [server, client]
    ] as const) {
      from.setTimeout(idle, () => from.destroy())
      from.on('data', (data) => {
        to.setTimeout(idle)
        to.write(data)
      })
      from.on('error', () => from.destroy())
      from.on('close', () => to.destroy())
    }
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.teardown(() => proxy.close())
  return (proxy.address() as AddressInfo).port
}

async function build(t: Test, interval: number) {
  const { app } = await buildApp(t, {
    auth: false,
    heartbeat: { interval, timeout: 2_000 },
    drain: { window: 0, timeout: 2_000 }
  })
  app.ws('/live', async (socket) => {
    for await (const message of socket.messages()) socket.sendJson(message)
  })
  app.channel('herd', { onSubscribe: true, history: { size: 100, ttl: 60_000 } })
  app.ws('/herd', async (socket, request) => {
    const { epoch } = request.query as { epoch: string }
    socket.sendJson(await socket.subscribe('herd', { since: { offset: 10, epoch } }))
    for await (const _ of socket.messages());
  })
  // Past Node's own backlog of 511 a herd waits for the kernel to try again, seconds later.
  await app.listen({ port: 0, host: '127.0.0.1', backlog: 4096 })
  return { app, port: (app.server.address() as AddressInfo).port }
}

t.test('D87: half a connection is closed', async (t) => {
  const { app, port } = await build(t, 10_000)
  const client = await rawUpgrade(port, { path: '/live' })
  t.equal(client.response.statusCode, 101)
  client.end()
  await client.ended()
  await app.realtime.drain()
  t.strictSame(app.realtime.connections(), [])
})

t.test('D88: pings keep a connection through a proxy that cuts idle ones', async (t) => {
  const { port } = await build(t, 100)
  const client = new WebSocket(`ws://127.0.0.1:${await idleProxy(t, port, 1_000)}/live`)
  await once(client, 'open')
  // Twice as long as the proxy's patience.
  for (let pings = 0; pings < 20; pings++) await once(client, 'ping')
  client.send('"still here"')
  const [data] = await once(client, 'message')
  t.equal(String(data), '"still here"')
  client.close()
  await once(client, 'close')
})

t.test('D88: without, the client sees 1006, and may come back', async (t) => {
  const { app, port } = await build(t, 60_000)
  const through = await idleProxy(t, port, 200)
  const client = new WebSocket(`ws://127.0.0.1:${through}/live`)
  const [code] = await once(client, 'close')
  t.equal(code, 1006)
  const again = await connect(app, '/live')
  again.send('back')
  t.equal(await again.next(), 'back')
})

t.test('D89: a herd that comes at once, each with a position, is all served', async (t) => {
  // More than any queue on the way has room for; their clients are in this process, too.
  const CLIENTS = 400
  const { app, port } = await build(t, 60_000)
  const { epoch } = await app.realtime.publish('herd', 0)
  for (let i = 1; i < 20; i++) await app.realtime.publish('herd', i)
  let answered = 0
  const clients: WebSocket[] = []
  t.teardown(() => {
    for (const client of clients) client.terminate()
  })
  await new Promise<void>((resolve) => {
    for (let i = 0; i < CLIENTS; i++) {
      const client = new WebSocket(`ws://127.0.0.1:${port}/herd?epoch=${epoch}`)
      clients.push(client)
      client.on('message', (data) => {
        if (!String(data).includes('"recovered":true')) return
        if (++answered === CLIENTS) resolve()
      })
    }
  })
  t.equal(app.realtime.connections().length, CLIENTS)
})

t.test('D83: clients that are stopped are found out, and cost nothing more', async (t) => {
  const registry = new Registry()
  const { app } = await buildApp(t, { auth: false, heartbeat: { interval: 200, timeout: 500 }, metrics: registry })
  app.ws('/live', async (socket) => {
    for await (const message of socket.messages()) socket.sendJson(message)
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const healthy = await connect(app, '/live')
  let beats = 0
  healthy.raw.on('ping', () => beats++)
  const crowd = await Crowd.join(t, { url: `ws://127.0.0.1:${port}/live`, count: 20 })
  t.equal(app.realtime.connections().length, 21)
  crowd.stop()
  const before = beats
  await until(() => app.realtime.connections().length === 1)
  healthy.send('still here')
  t.equal(await healthy.next(), 'still here')
  // By the beats of a healthy connection: one is shorter than the timeout. How exact it is, is told by the clock that
  // stands (test/socket/heartbeat.test.ts).
  t.ok(beats > before && beats < before + 50, `${beats - before} beats`)
  t.match(await registry.getSingleMetricAsString('realtime_heartbeat_timeouts_total'), / 20$/)
})
