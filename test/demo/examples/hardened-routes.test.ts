import { once } from 'node:events'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { testToken } from '../../../lib/testing/index.ts'
import { read, root } from '../../docs/pages.ts'
import { localized, Program } from '../../docs/programs.ts'
import { ExampleServer } from '../../support/example.ts'

const secret = 'a secret of the test, long enough'
const token = (sub: string) => testToken({ sub }, { secret })
const file = 'demo/examples/hardened-routes/server.ts'

async function watcher(t: Test, url: string, protocols: string[]): Promise<WebSocket> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/prices`, protocols)
  socket.on('error', () => {})
  t.teardown(() => socket.terminate())
  await once(socket, 'open')
  return socket
}

async function answer(socket: WebSocket, text: string): Promise<unknown> {
  const reply = once(socket, 'message')
  socket.send(text)
  return JSON.parse(String((await reply)[0]))
}

t.test('a price reaches those who watch it, and only the feed sets it', async (t) => {
  const server = await ExampleServer.start(t, 'hardened-routes', { JWT_SECRET: secret })
  const socket = await watcher(t, server.url, ['realtime.v1', `bearer.${token('ada')}`])
  t.same(await answer(socket, 'ACME'), { watching: 'ACME' })
  t.match(await answer(socket, 'no symbol'), { error: /invalid/ })
  for (let n = 0; n < 19; n++) {
    const symbol = `A${String.fromCharCode(65 + n)}`
    t.same(await answer(socket, symbol), { watching: symbol })
  }
  t.match(await answer(socket, 'ONE'), { error: /invalid/ }, 'there is a limit')

  const put = async (user: string, body: unknown, symbol = 'ACME') =>
    (await server.request('PUT', `/prices/${symbol}`, body, { authorization: `Bearer ${token(user)}` })).status
  t.equal((await server.request('PUT', '/prices/ACME', { price: 1 })).status, 401)
  t.equal(await put('ada', { price: 1 }), 403)
  t.equal(await put('feed', { price: -1 }), 400)
  t.equal(await put('feed', { price: 1 }, 'acme'), 400)
  const price = once(socket, 'message')
  t.equal(await put('feed', { price: 12.5 }), 200)
  t.same(JSON.parse(String((await price)[0])), { symbol: 'ACME', price: 12.5 })

  const closed = once(socket, 'close')
  socket.send('A'.repeat(2 ** 20 + 1))
  t.match(await closed, [1009], 'one message is bounded')
})

t.test('no token, a token of another secret, another origin', async (t) => {
  const server = await ExampleServer.start(t, 'hardened-routes', { JWT_SECRET: secret })
  const offer = ['realtime.v1', `bearer.${token('ada')}`]
  t.equal(await server.handshake('/prices'), 401)
  t.equal(await server.handshake('/prices', {}, ['realtime.v1', `bearer.${testToken({ sub: 'ada' })}`]), 401)
  t.equal(await server.handshake('/prices', { origin: 'https://evil.example' }, offer), 403)
  t.equal(await server.handshake('/prices', { origin: server.url }, offer), 101)
  t.notMatch(JSON.stringify(server.program.logs), (token('ada').split('.') as string[])[2] as string)
})

t.test('SIGTERM: each client gets a code that says to come back', async (t) => {
  const server = await ExampleServer.start(t, 'hardened-routes', { JWT_SECRET: secret })
  const socket = await watcher(t, server.url, ['realtime.v1', `bearer.${token('ada')}`])
  const closed = once(socket, 'close')
  t.equal(await server.end(), 0)
  t.match(await closed, [1012])
})

t.test('it has no secret of its own in production', async (t) => {
  const env = { NODE_ENV: 'production' }
  t.match(await ExampleServer.fails('hardened-routes', env), { code: 1, printed: /Set JWT_SECRET/ })
  t.match(await ExampleServer.fails('hardened-routes', { ...env, JWT_SECRET: 'short' }), { code: 1 })
})

t.test('two lines differ from the application as it was, in which nobody checks anything', async (t) => {
  const lines = read(file).split('\n')
  const before = lines.map((line) => /^(\s*).* \/\/ before: (.*)$/.exec(line)?.slice(1).join('') ?? line)
  t.equal(lines.filter((line, index) => line !== before[index]).length, 2)
  const source = before.join('\n').replaceAll("'../", `'${join(root, 'demo/examples')}/`)
  const cwd = t.testdir({ 'server.ts': localized(source) })
  const command = [process.execPath, `--import=${join(root, 'scripts/typescript.js')}`, join(cwd, 'server.ts')]
  const program = new Program(t, command, { cwd: root, env: { ...process.env, PORT: '0', JWT_SECRET: secret } })
  const { port } = await program.listening()
  const socket = await watcher(t, `http://127.0.0.1:${port}`, [])
  t.same(await answer(socket, 'ACME'), { watching: 'ACME' })
})
