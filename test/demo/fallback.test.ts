import tap from 'tap'
import { launchBrowser } from '../support/browser.ts'
import { DemoProcess } from '../support/demo.ts'
import { freePort, RedisServer } from '../support/redis-server.ts'
import { RoundRobin } from '../support/round-robin.ts'
import { Visitors } from '../support/whiteboard.ts'

/*
 * A network that blocks WebSockets, and two nodes without sticky sessions: browsers fall back to HTTP streaming by
 * themselves, and lose nothing when either node or Redis is killed.
 */

// For machines that do other things meanwhile.
const PATIENCE = 240_000
tap.setTimeout(PATIENCE)

tap.test('a board over HTTP, through the kill of each node and of Redis', { timeout: PATIENCE }, async (t) => {
  const redis = await RedisServer.start(t, { appendonly: 'yes', appendfsync: 'always' })
  const ports = [await freePort(), await freePort()] as const
  const start = (port: number) =>
    DemoProcess.start(t, {
      PORT: String(port),
      REDIS_URL: redis.url,
      JWT_SECRET: 'the secret of both nodes of the demo'
    })
  const nodes = [await start(ports[0]), await start(ports[1])]
  const proxy = await RoundRobin.start(t, ports)
  const browser = await launchBrowser()
  t.teardown(() => browser.close())
  const visitors = new Visitors(browser)
  const ada = await visitors.open(t, `${proxy.address}/#fallback`)
  const grace = await visitors.open(t, `${proxy.address}/#fallback`)

  let lines = 0
  /** Both draw, and both see all of it. */
  const bothDraw = async (what: string) => {
    for (const [one, other] of [[ada, grace] as const, [grace, ada] as const]) {
      const at = 0.06 + 0.08 * lines++
      await one.draw(at)
      await other.ink(at)
    }
    await ada.untilUnsent(0)
    await grace.untilUnsent(0)
    await grace.untilStrokes(await ada.strokes())
    t.pass(what)
  }
  await bothDraw('both nodes are there')
  t.ok(proxy.asked.has('POST /connection/http_stream'))
  t.ok(proxy.asked.has('POST /emulation'))

  for (const at of [0, 1] as const) {
    await nodes[at]?.kill()
    await bothDraw(`node ${at + 1} was killed`)
    nodes[at] = await start(ports[at])
  }
  await redis.kill()
  await ada.draw(0.94)
  await redis.restart()
  await grace.ink(0.94)
  await bothDraw('Redis was killed, and is back')
  t.same(visitors.faults, [])
})
