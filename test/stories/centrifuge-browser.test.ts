import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import t from 'tap'
import { testToken } from '../../lib/testing/index.ts'
import { buildApp } from '../support/app.ts'
import { launchBrowser } from '../support/browser.ts'

/* The published client in a real browser, with its token in the subprotocol and in `connect`. */

const script = readFileSync(
  join(dirname(createRequire(import.meta.url).resolve('centrifuge')), '..', 'dist', 'centrifuge.js'),
  'utf8'
)

t.test('a page subscribes, publishes, loses its node and recovers', async (t) => {
  const { app } = await buildApp(t)
  app.channel('rooms/:room', { onSubscribe: true, history: { size: 100, ttl: 60_000 }, onPublish: () => undefined })
  app.get('/', (_request, reply) =>
    reply.type('text/html').send('<!doctype html><script src="/centrifuge.js"></script>')
  )
  app.get('/centrifuge.js', (_request, reply) => reply.type('text/javascript').send(script))
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as { port: number }
  const browser = await launchBrowser()
  t.teardown(() => browser.close())
  for (const inSubprotocol of [true, false]) {
    const page = await browser.newPage()
    await page.goto(`http://127.0.0.1:${port}/`)
    const token = testToken({ sub: inSubprotocol ? 'ada' : 'bob' })
    const room = `rooms/${inSubprotocol}`
    await page.evaluate(
      async ({ url, token, room, inSubprotocol }) => {
        const page = globalThis as unknown as Record<string, never> & { heard: unknown[]; recovered: unknown[] }
        const { Centrifuge } = page as unknown as { Centrifuge: typeof import('centrifuge').Centrifuge }
        class WithToken extends WebSocket {
          constructor(url: string) {
            super(url, ['realtime.v1', `bearer.${token}`])
          }
        }
        const client = new Centrifuge(url, {
          minReconnectDelay: 20,
          ...(inSubprotocol ? { websocket: WithToken } : { token })
        })
        const subscription = client.newSubscription(room)
        page.heard = []
        page.recovered = []
        subscription.on('publication', ({ data }) => page.heard.push(data))
        subscription.on('subscribed', ({ recovered }) => page.recovered.push(recovered))
        subscription.subscribe()
        client.connect()
        await subscription.publish({ n: 1 })
      },
      { url: `ws://127.0.0.1:${port}/connection/websocket`, token, room, inSubprotocol }
    )
    const user = inSubprotocol ? 'ada' : 'bob'
    t.equal(app.realtime.connections().filter((connection) => connection.user === user).length, 1)
    await app.realtime.disconnect({ user }, { code: 3001, reason: 'shutdown' })
    await app.realtime.publish(room, { n: 2 })
    await page.waitForFunction(() => (globalThis as unknown as { heard: unknown[] }).heard.length === 2)
    t.same(await page.evaluate(() => (globalThis as unknown as { recovered: unknown[] }).recovered), [false, true])
    await page.close()
  }
})
