import { readFileSync } from 'node:fs'
import t from 'tap'
import { WebSocket } from 'ws'
import { buildApp } from '../support/app.ts'
import { endpointOf } from '../support/centrifuge.ts'
import { type Fields, repliesIn } from '../support/protobuf.ts'

/*
 * SDKs that do not run in these tests: what they send first, byte for byte, and what they are answered. The token in the
 * frames is of the user 42, signed with `secret`, and without a time to expire.
 */

interface Recorded {
  readonly sdk: string
  readonly version: string
  readonly transport: 'websocket' | 'http_stream'
  readonly headers: Readonly<Record<string, string>>
  readonly frames: readonly { readonly name: string; readonly hex: string }[]
}

const recorded: readonly Recorded[] = JSON.parse(
  readFileSync(new URL('../support/recorded-clients.json', import.meta.url), 'utf8')
)
// The WebSocket library of the test sets these itself.
const OF_THE_LIBRARY = /^(connection|upgrade|sec-websocket-(version|key|protocol|extensions)|content-length)$/i

const options = { auth: { requiredClaims: ['sub'] } }

async function start(t: Parameters<typeof buildApp>[0]) {
  const { app } = await buildApp(t, options, { jwt: { secret: 'secret' } })
  app.channel('news', { onSubscribe: true, onPublish: true, history: { size: 10, ttl: 60_000 } })
  return app
}

for (const { sdk, version, transport, headers, frames } of recorded) {
  const bytes = (name: string) => Buffer.from(frames.find((frame) => frame.name === name)?.hex ?? '', 'hex')

  t.test(`${sdk} ${version} over ${transport}`, async (t) => {
    const app = await start(t)
    const endpoint = await endpointOf(app, `/connection/${transport}`)
    if (transport === 'http_stream') {
      const response = await fetch(endpoint.replace('ws:', 'http:'), {
        method: 'POST',
        headers,
        body: bytes('connect')
      })
      t.match(response.headers.get('content-type'), 'application/octet-stream')
      const reader = response.body?.getReader()
      const { value } = (await reader?.read()) ?? {}
      t.match(repliesIn(value as Uint8Array), [{ id: 1, connect: { session: String, node: String, pong: true } }])
      await reader?.cancel()
      return
    }
    const own = Object.fromEntries(Object.entries(headers).filter(([name]) => !OF_THE_LIBRARY.test(name)))
    const socket = new WebSocket(endpoint, headers['Sec-WebSocket-Protocol'], { headers: own })
    const replies: Fields[] = []
    let heard: () => void = () => undefined
    socket.on('message', (data: Buffer) => {
      replies.push(...repliesIn(data))
      heard()
    })
    const answered = async (test: (reply: Fields) => unknown) => {
      while (!replies.some(test))
        await new Promise<void>((resolve) => {
          heard = resolve
        })
    }
    await new Promise((resolve) => socket.once('open', resolve))
    t.equal(socket.protocol, 'centrifuge-protobuf')
    socket.send(bytes('connect'))
    await answered(({ connect }) => connect)
    t.match(replies, [{ id: 1, connect: { pong: true } }])
    for (const name of ['subscribe', 'publish', 'pong']) socket.send(bytes(name))
    await answered(({ publish }) => publish)
    t.match(
      replies.find(({ subscribe }) => subscribe),
      { subscribe: { recoverable: true, positioned: true } }
    )
    t.match(
      replies.find(({ push }) => push),
      {
        push: { channel: 'news', pub: { data: '{"input":"hello"}', offset: 1, info: { user: '42' } } }
      }
    )
    t.equal(
      replies.find(({ error }) => error),
      undefined
    )
    t.equal(socket.readyState, WebSocket.OPEN)
    socket.terminate()
  })
}
