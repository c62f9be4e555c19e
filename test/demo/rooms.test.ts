import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { type Test, test } from 'tap'
import { WebSocket } from 'ws'
import { buildApp } from '../../demo/app.ts'
import { readSettings } from '../../demo/settings.ts'
import { connect } from '../../lib/client/index.ts'
import { connect as connectHere, disposeAll, testToken } from '../../lib/testing/index.ts'

const secret = 'the secret of the demo whose rooms are under test'
const token = testToken({ sub: 'ada' }, { secret })

async function build(t: Test) {
  const app = await buildApp(readSettings({ JWT_SECRET: secret, DRAIN_WINDOW: '0' }), { level: 'silent' })
  t.teardown(async () => {
    await disposeAll(app)
    await app.close()
  })
  const publish = async (text: string) => {
    const { statusCode } = await app.inject({
      method: 'POST',
      url: '/api/rooms/tea',
      headers: { authorization: `Bearer ${token}` },
      payload: { text }
    })
    t.equal(statusCode, 200)
  }
  return { app, publish }
}

test('a position recovers what came after it; without one, or with a wrong one, the notice says where it begins', async (t) => {
  const { app, publish } = await build(t)
  const first = await connectHere(app, '/ws/rooms/tea', { token })
  const { notice } = (await first.next()) as { notice: { epoch: string } }
  t.match(notice, { code: 'subscribed', channel: 'rooms/tea', recovered: false, offset: 0, epoch: String })
  for (const text of ['a', 'b', 'c']) await publish(text)
  const { epoch } = notice
  const since = await connectHere(app, `/ws/rooms/tea?since=${epoch}:1`, { token })
  t.match(await since.next(), { channel: 'rooms/tea', data: { text: 'b' }, offset: 2, epoch })
  t.match(await since.next(), { data: { text: 'c' }, offset: 3 })
  t.match(await since.next(), { notice: { code: 'subscribed', recovered: true, offset: 3, epoch } })
  for (const wrong of ['other:1', 'nonsense', `${epoch}:x`, ':1']) {
    const socket = await connectHere(app, `/ws/rooms/tea?since=${encodeURIComponent(wrong)}`, { token })
    t.match(await socket.next(), { notice: { code: 'subscribed', recovered: false, offset: 3, epoch } }, wrong)
  }
})

/* The library sends such a client a notice by itself; the room's own was a second one. */
test('the client of the package gets one notice for each connection, and recovers', async (t) => {
  const { app, publish } = await build(t)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const sockets: { socket: WebSocket; notices: { code: string }[] }[] = []
  class Observed extends WebSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols)
      const notices: { code: string }[] = []
      sockets.push({ socket: this, notices })
      this.on('message', (data) => {
        const { notice } = JSON.parse(String(data))
        if (notice?.code === 'subscribed') notices.push(notice)
      })
    }
  }
  const client = connect<unknown, { text: string }>(
    `ws://127.0.0.1:${(app.server.address() as AddressInfo).port}/ws/rooms/tea`,
    { WebSocket: Observed as never, token: () => token, backoff: { first: 1, max: 1 } }
  )
  t.teardown(() => client.close())
  const received: string[] = []
  const gaps: unknown[] = []
  client.on('gap', (gap) => gaps.push(gap))
  let wake = () => {}
  client.on('publication', ({ data }) => {
    received.push(data.text)
    wake()
  })
  const come = async (count: number) => {
    while (received.length < count) await new Promise<void>((resolve) => (wake = resolve))
  }
  await client.send({ text: 'a' })
  await come(1)
  const socket = sockets[0]?.socket as WebSocket
  const closed = once(socket, 'close')
  socket.terminate()
  await publish('b')
  await closed
  await client.send({ text: 'c' })
  await come(3)
  t.same(received, ['a', 'b', 'c'])
  t.same(gaps, [])
  t.match(
    sockets.map(({ notices }) => notices),
    [[{ code: 'subscribed', recovered: false }], [{ code: 'subscribed', recovered: true }]]
  )
})
