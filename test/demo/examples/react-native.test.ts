import { once } from 'node:events'
import { join } from 'node:path'
import { createContext, runInContext } from 'node:vm'
import { build } from 'esbuild'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import type { getToken, Message, openChannel, openRoom, Room } from '../../../demo/examples/react-native/client.ts'
import { testToken } from '../../../lib/testing/index.ts'
import { root } from '../../docs/pages.ts'
import { ENTRIES } from '../../docs/programs.ts'
import { ExampleServer } from '../../support/example.ts'

const secret = 'a secret of the test, long enough'

interface Client {
  getToken: typeof getToken
  openRoom: typeof openRoom
  openChannel: typeof openChannel
}

/** Native sockets, as the app gets them: the test can see and cut each. */
class NativeSocket extends WebSocket {
  static all: NativeSocket[] = []
  constructor(url: string, protocols: string[]) {
    super(url, protocols)
    NativeSocket.all.push(this)
  }
}

/**
 * The example as Metro would bundle it, in a context with the globals of React Native that the clients might use. There
 * is no `window`, `document`, `location`, `addEventListener`, `Buffer`, `process`, `crypto`, `TextDecoder`, `URL`,
 * `EventSource` or `ReadableStream`.
 */
async function load(t: Test, more: object = {}): Promise<Client> {
  const { outputFiles } = await build({
    entryPoints: [join(root, 'demo/examples/react-native/client.ts')],
    bundle: true,
    write: false,
    format: 'iife',
    globalName: 'example',
    platform: 'neutral',
    mainFields: ['module', 'main'],
    conditions: ['react-native', 'import'],
    target: 'es2022',
    alias: { 'fastify-realtime/client': join(root, 'lib', `${ENTRIES['fastify-realtime/client']}.ts`) }
  })
  const timers = { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, queueMicrotask }
  const navigator = { product: 'ReactNative' }
  const context = createContext({ ...timers, WebSocket: NativeSocket, fetch, btoa, console, navigator, ...more })
  context.global = context
  runInContext(outputFiles[0]?.text as string, context)
  t.teardown(() => {
    for (const socket of NativeSocket.all.splice(0)) socket.terminate()
  })
  return context.example as Client
}

class AppState {
  readonly #listeners = new Set<(state: string) => void>()
  addEventListener(_event: 'change', listener: (state: string) => void) {
    this.#listeners.add(listener)
    return { remove: () => void this.#listeners.delete(listener) }
  }
  change(state: string): void {
    for (const listener of this.#listeners) listener(state)
  }
  get listeners(): number {
    return this.#listeners.size
  }
}

/** What a room has shown, and a way to wait for more. */
function screen() {
  const shown: string[] = []
  let changed = () => {}
  const show = ({ from, text }: Message) => {
    shown.push(`${from}: ${text}`)
    changed()
  }
  const upTo = async (count: number) => {
    while (shown.length < count) {
      await new Promise<void>((resolve) => {
        changed = resolve
      })
    }
    return shown
  }
  return { show, upTo }
}

t.test('both clients run with the globals of React Native only', async (t) => {
  const server = await ExampleServer.start(t, 'react-native', { JWT_SECRET: secret })
  const { getToken, openRoom, openChannel } = await load(t)
  const [socketScreen, channelScreen] = [screen(), screen()]
  const appState = new AppState()
  const room: Room = openRoom(server.url, () => getToken(server.url, 'ada', 'demo'), socketScreen.show)
  await room.send('from a socket')
  t.same(await socketScreen.upTo(1), ['ada: from a socket'])
  const channel: Room = openChannel(
    server.url,
    () => getToken(server.url, 'grace', 'demo'),
    appState,
    channelScreen.show
  )
  await channel.send('from a channel')
  t.same(await socketScreen.upTo(2), ['ada: from a socket', 'grace: from a channel'])
  t.same(await channelScreen.upTo(1), ['grace: from a channel'])

  // The app is in the background, and comes back: it recovers what it missed.
  appState.change('background')
  await room.send('while you were away')
  await socketScreen.upTo(3)
  appState.change('active')
  t.same(await channelScreen.upTo(2), ['grace: from a channel', 'ada: while you were away'])

  // The network is lost. A text that is sent meanwhile is published once.
  const open = NativeSocket.all.filter(({ readyState }) => readyState === WebSocket.OPEN)
  const lost = open.map((socket) => once(socket, 'close'))
  for (const socket of open) socket.terminate()
  await Promise.all(lost)
  await room.send('sent offline')
  t.same((await socketScreen.upTo(4)).slice(3), ['ada: sent offline'])
  t.same((await channelScreen.upTo(3)).slice(2), ['ada: sent offline'])
  room.close()
  channel.close()
  t.equal(appState.listeners, 0)
  t.equal(await server.end(), 0)
  t.notMatch(JSON.stringify(server.program.logs), /eyJ[\w-]+\./, 'no token in the log')
})

t.test('without a WebSocket the client says at once what to pass', async (t) => {
  const { openRoom } = await load(t, { WebSocket: undefined })
  t.throws(() => openRoom('http://127.0.0.1', async () => '', t.fail), { message: /pass \{ WebSocket \}/ })
})

t.test('what a client may not do', async (t) => {
  const server = await ExampleServer.start(t, 'react-native', { JWT_SECRET: secret })
  const { getToken } = await load(t)
  await t.rejects(getToken(server.url, 'ada', 'wrong'))
  const offer = (sub: string, key = secret) => ['realtime.v1', `bearer.${testToken({ sub }, { secret: key })}`]
  t.equal(await server.handshake('/rooms/tea'), 401)
  t.equal(await server.handshake('/rooms/tea', {}, offer('ada', 'another secret, as long as the first')), 401)
  t.equal(await server.handshake('/rooms/tea', { origin: server.url }, offer('ada')), 403, 'no page may connect')
  t.equal(await server.handshake('/rooms/tea', {}, offer('ada')), 101)
  const eve = new WebSocket(`${server.url.replace('http', 'ws')}/rooms/tea`, offer('eve'))
  const [code] = await new Promise<[number]>((resolve) => eve.on('close', (code) => resolve([code])))
  t.equal(code, 4403)
  const env = { NODE_ENV: 'production', JWT_SECRET: secret }
  t.match(await ExampleServer.fails('react-native', env), { code: 1, printed: /Replace the accounts/ })
})
