import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import realtime from '../../lib/index.ts'
import { disposeAll, testToken } from '../../lib/testing/index.ts'
import { buildApp } from '../support/app.ts'
import { connect } from '../support/connect.ts'
import { ask, type Library, libraries } from '../support/libraries.ts'
import { rawUpgrade } from '../support/raw-socket.ts'

/*
 * Case 131. Two listeners of one server that both took an upgrade wrote two answers, or ended the process; and a library
 * that set `handleProtocols` on the shared server took the subprotocol from every handshake with a token.
 */

const verify = (token: string) => ({ sub: token, exp: Date.now() / 1000 + 60 })
const TOKEN = ['realtime.v1', 'bearer.ada']

type Placed = { library: Library; when: 'before' | 'after' | 'when ready' }

/** An application with libraries, each added before this package, after it, or once all is loaded. */
async function beside(t: Test, placed: readonly Placed[]): Promise<number> {
  const app = Fastify()
  t.teardown(async () => {
    for (const { library } of placed) await library.stop?.()
    await disposeAll(app)
    await app.close()
  })
  const add = async (when: Placed['when']) => {
    for (const { library, when: its } of placed) if (its === when) await library.add(app)
  }
  await add('before')
  await app.register(realtime, { auth: { verify }, limits: { upgradeTimeout: 200 } })
  app.ws('/mine/:name', async (socket) => {
    for await (const message of socket.messages()) socket.sendJson([socket.user?.sub, message])
  })
  app.get('/plain', () => 'plain')
  await add('after')
  for (const { library } of placed) await library.declare?.(app)
  await app.ready()
  await add('when ready')
  await app.listen({ port: 0, host: '127.0.0.1' })
  return (app.server.address() as AddressInfo).port
}

/** Ours, before and after a library was talked to, and paths of nobody. */
async function oursWork(t: Test, port: number): Promise<void> {
  const { response, ...socket } = await rawUpgrade(port, { path: '/mine/x', protocols: TOKEN })
  t.equal(response.statusCode, 101)
  t.equal(response.headers['sec-websocket-protocol'], 'realtime.v1')
  socket.net.destroy()
  t.equal((await rawUpgrade(port, { path: '/mine/x' })).response.statusCode, 401)
  for (const path of ['/nobody', '/plain', '/mine']) {
    t.equal((await rawUpgrade(port, { path, protocols: TOKEN })).response.statusCode, 404, path)
  }
}

for (const [name, make] of Object.entries(libraries)) {
  for (const when of ['before', 'after', 'when ready'] as const) {
    // What adds routes does so before all is loaded. A route that mercurius declares later is ours, and wants a token.
    if (when === 'when ready' && name !== 'ws' && name !== 'socket.io') continue
    if (when === 'after' && name === 'mercurius') continue
    t.test(`case 131: ${name} ${when}: each serves its own paths`, async (t) => {
      const library = await make()
      const port = await beside(t, [{ library, when }])
      await oursWork(t, port)
      t.same(await library.talk(port), library.answer)
      await oursWork(t, port)
      t.same(await library.talk(port), library.answer)
    })
  }
}

t.test('case 131: all of them in one application', async (t) => {
  const all = await Promise.all(Object.values(libraries).map((make) => make()))
  const port = await beside(
    t,
    all.map((library) => ({ library, when: 'before' as const }))
  )
  await oursWork(t, port)
  for (const library of all) t.same(await library.talk(port), library.answer)
  await oursWork(t, port)
})

t.test('case 131: mercurius after ours has a route of ours, with its own subprotocol', async (t) => {
  const library = await (libraries.mercurius as () => Promise<Library>)()
  const { app } = await buildApp(t, { auth: false }, { jwt: false })
  await library.add(app)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  t.same(await library.talk(port), library.answer)
})

t.test('case 131: handleProtocols, of the application or set later, is for raw routes only', async (t) => {
  const { app, logs } = await buildApp(t, { auth: { verify } }, { jwt: false })
  const seen: string[][] = []
  let choose: (offered: Set<string>) => unknown = (offered) => [...offered].at(-1)
  app.get('/raw', { websocket: true }, (socket) => void socket.on('message', (data) => socket.send(String(data))))
  app.ws('/mine', async (socket) => {
    for await (const message of socket.messages()) socket.sendJson(message)
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const offer = ['first', 'bearer.ada', 'second']
  const chosen = async (path: string) =>
    (await rawUpgrade(port, { path, protocols: offer })).response.headers['sec-websocket-protocol']
  t.equal(await chosen('/raw'), 'first')
  app.websocketServer.options.handleProtocols = (offered) => {
    seen.push([...offered])
    return choose(offered) as string
  }
  t.equal(await chosen('/raw'), 'second')
  t.equal(await chosen('/mine'), 'first')
  t.same(seen, [['first', 'second']], 'it sees no credentials, and no other routes')
  for (const wrong of [() => 'bearer.ada', () => false, () => undefined]) {
    choose = wrong
    t.equal(await chosen('/raw'), undefined)
  }
  choose = () => {
    throw new Error('a fault')
  }
  t.equal(await chosen('/raw'), undefined)
  t.match(logs.at(-1), { msg: 'handleProtocols failed', err: { message: 'a fault' } })
})

t.test('case 131: a listener that throws, one that never writes, and one that writes late', async (t) => {
  const { app, logs } = await buildApp(t, { auth: false, limits: { upgradeTimeout: 1_000 } }, { jwt: false })
  app.server.on('upgrade', (request, stream) => {
    if (request.url === '/throws') throw new Error('a fault')
    if (request.url === '/late') setTimeout(() => stream.end('HTTP/1.1 418 Late\r\nContent-Length: 0\r\n\r\n'), 100)
  })
  app.ws('/mine', async (socket) => socket.sendJson('mine'))
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  await t.rejects(rawUpgrade(port, { path: '/throws' }), /connection ended before/)
  t.match(logs.at(-1), { msg: 'upgrade listener failed', err: { message: 'a fault' } })
  const late = await rawUpgrade(port, { path: '/late' })
  t.equal(late.response.statusCode, 418)
  const never = await rawUpgrade(port, { path: '/never' })
  t.equal(never.response.statusCode, 404)
  t.match(never.response.headers, { connection: 'close', 'retry-after': undefined })
  t.equal(await (await connect(app, '/mine')).next(), 'mine')
})

t.test('case 131: a raw route from before this package stays as it was', async (t) => {
  const before = async (app: Parameters<Library['add']>[0]) => {
    const { default: websocket } = await import('@fastify/websocket')
    await app.register(websocket)
    app.get('/old', { websocket: true }, (socket) => void socket.on('message', (data) => socket.send(`old ${data}`)))
  }
  const { app } = await buildApp(t, { auth: { verify } }, { jwt: false, before })
  app.get('/new', { websocket: true }, (socket) => void socket.on('message', (data) => socket.send(`new ${data}`)))
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  t.equal(await ask(port, '/old'), ' old hi')
  t.equal(await ask(port, '/new', TOKEN), 'realtime.v1 new hi')
  t.equal((await rawUpgrade(port, { path: '/new' })).response.statusCode, 401)
})

t.test('case 131: a route that nobody can serve says why in the log', async (t) => {
  const before = (app: Parameters<Library['add']>[0]) => {
    app.get('/old', { websocket: true } as object, () => 'plain')
  }
  const { app, logs } = await buildApp(t, { auth: { verify } }, { before })
  app.ws('/mine', async () => undefined)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const { response } = await rawUpgrade(port, { path: `/old?access_token=${testToken()}` })
  t.match(response, { statusCode: 404, headers: { connection: 'close' } })
  t.match(logs.at(-1), { msg: 'handshake refused', code: 'FST_RT_NOT_WEBSOCKET_ROUTE', reason: /before/ })
})
