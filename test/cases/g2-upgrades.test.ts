import { once } from 'node:events'
import t, { type Test } from 'tap'
import { testToken } from '../../lib/testing/index.ts'
import { type BuildOptions, buildApp, holdsNoToken } from '../support/app.ts'
import { connect } from '../support/connect.ts'
import { frame, opcodes, RawSocket, rawUpgrade, requestHead } from '../support/raw-socket.ts'

/* Cases 132, 133, 145 and 181: what else a request for an upgrade can be. */

async function open(t: Test, options: object = { auth: false }, more: BuildOptions = {}) {
  const { app, logs } = await buildApp(t, options, more)
  app.ws('/ws', async (socket, request) => {
    socket.sendJson(request.raw.rawHeaders.length)
    for await (const message of socket.messages()) socket.sendJson({ echo: message })
  })
  app.get('/plain', () => 'plain')
  app.post('/body', (request) => request.body)
  app.get('/headers', (request) => Object.keys(request.headers).length)
  let release: () => void = () => undefined
  app.get('/slow', async () => {
    await new Promise<void>((resolve) => {
      release = resolve
    })
    return 'slow'
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as { port: number }
  return { app, logs, port, release: () => release() }
}

t.test('case 132: a WebSocket upgrade with a body is a 400', async (t) => {
  const { port } = await open(t)
  const smuggled = 'GET /plain HTTP/1.1\r\nHost: a\r\n\r\n'
  for (const headers of [{ 'Content-Length': String(smuggled.length) }, { 'Transfer-Encoding': 'chunked' }]) {
    const socket = await rawUpgrade(port, { path: '/ws', headers, trailing: Buffer.from(smuggled) })
    t.equal(socket.response.statusCode, 400)
    t.match(JSON.parse(socket.response.body), { code: 'FST_RT_BAD_HANDSHAKE', message: /a body/ })
    await socket.ended()
    t.equal(socket.unread.length, 0, 'the body is no request')
    socket.destroy()
  }
})

t.test('case 132: another upgrade is a plain request with its body and all its headers', async (t) => {
  const { port } = await open(t)
  const socket = await RawSocket.open(port)
  const h2c = { Upgrade: 'h2c', Connection: 'Upgrade, HTTP2-Settings', 'HTTP2-Settings': 'AAA' }
  const plain = { 'Sec-WebSocket-Version': undefined, 'Sec-WebSocket-Key': undefined }
  const body = JSON.stringify({ a: 'x'.repeat(100_000) })
  const headers = { ...plain, ...h2c, 'Content-Type': 'application/json', 'Content-Length': String(body.length) }
  socket.write(requestHead({ method: 'POST', path: '/body', headers }) + body)
  t.equal((await socket.readResponse()).body, body)
  const chunked = { ...plain, ...h2c, 'Content-Type': 'application/json', 'Transfer-Encoding': 'chunked' }
  socket.write(`${requestHead({ method: 'POST', path: '/body', headers: chunked })}3\r\n{"b\r\n4\r\n":1}\r\n0\r\n\r\n`)
  t.equal((await socket.readResponse()).body, '{"b":1}')
  const many = Object.fromEntries(Array.from({ length: 900 }, (_, i) => [`h${i}`, 'v']))
  socket.write(requestHead({ path: '/headers', headers: { ...plain, ...h2c, ...many } }))
  t.equal((await socket.readResponse()).body, '901')
  const tooMany = Object.fromEntries(Array.from({ length: 1_100 }, (_, i) => [`h${i}`, 'v']))
  socket.write(requestHead({ path: '/headers', headers: { ...plain, ...h2c, ...tooMany } }))
  t.match(await socket.readResponse(), { statusCode: 431, headers: { connection: 'close' } })
  await socket.ended()
  socket.destroy()
})

t.test('case 132: an upgrade behind an unanswered request is answered after it', async (t) => {
  const { port, release, app } = await open(t)
  const arrived = once(app.server, 'request')
  const socket = await RawSocket.open(port)
  const slow = requestHead({ path: '/slow', headers: { Connection: undefined, Upgrade: undefined } })
  socket.write(`${slow}${requestHead({ path: '/plain', headers: { Upgrade: 'h2c' } })}`)
  await arrived
  socket.write(requestHead({ path: '/plain', headers: { Connection: undefined, Upgrade: undefined } }))
  setImmediate(release)
  t.equal((await socket.readResponse()).body, 'slow')
  t.equal((await socket.readResponse()).body, 'plain')
  t.equal((await socket.readResponse()).body, 'plain')

  const again = once(app.server, 'request')
  socket.write(slow + requestHead({ path: '/ws' }))
  await again
  setImmediate(release)
  t.equal((await socket.readResponse()).body, 'slow')
  t.equal((await socket.readResponse()).statusCode, 101)
  t.equal((await socket.nextFrame()).opcode, opcodes.text)
  socket.destroy()
})

t.test('case 133: HTTP/1.0, and no host', async (t) => {
  const { port } = await open(t)
  const head = requestHead({ path: '/ws' })
  for (const [what, bytes] of Object.entries({
    'HTTP/1.1 is needed': head.replace('HTTP/1.1', 'HTTP/1.0'),
    Host: head.replace('Host: localhost\r\n', '')
  })) {
    const socket = await RawSocket.open(port)
    socket.write(bytes)
    const { statusCode, body } = await socket.readResponse()
    t.equal(statusCode, 400)
    t.match(JSON.parse(body).message, what)
    socket.destroy()
  }
})

// What the clients of other languages write, byte for byte but for host and key.
const HANDSHAKES = {
  'Python, websockets 14 and later with an empty list of subprotocols': [
    'Host: HOST',
    'Upgrade: websocket',
    'Connection: Upgrade',
    'Sec-WebSocket-Key: 0oE2tK1z3Gg6OviMMxhQvw==',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits',
    'Sec-WebSocket-Protocol: ',
    'User-Agent: Python/3.12 websockets/14.1'
  ],
  'Go, gorilla/websocket': [
    'Host: HOST',
    'User-Agent: Go-http-client/1.1',
    'Connection: Upgrade',
    'Sec-WebSocket-Key: 0oE2tK1z3Gg6OviMMxhQvw==',
    'Sec-WebSocket-Version: 13',
    'Upgrade: websocket'
  ],
  'Java, OkHttp': [
    'Upgrade: websocket',
    'Connection: Upgrade',
    'Sec-WebSocket-Key: 0oE2tK1z3Gg6OviMMxhQvw==',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Extensions: permessage-deflate',
    'Host: HOST',
    'Accept-Encoding: gzip',
    'User-Agent: okhttp/4.12.0'
  ],
  'Java, HttpClient of the standard library': [
    'Connection: Upgrade',
    'Host: HOST',
    'Sec-WebSocket-Key: 0oE2tK1z3Gg6OviMMxhQvw==',
    'Sec-WebSocket-Version: 13',
    'Upgrade: websocket',
    'User-Agent: Java-http-client/21.0.2'
  ],
  'a list of protocols to change to': [
    'Host: HOST',
    'Upgrade: h2c, websocket',
    'Connection: keep-alive, Upgrade',
    'Sec-WebSocket-Key: 0oE2tK1z3Gg6OviMMxhQvw==',
    'Sec-WebSocket-Version: 13'
  ]
}

t.test('case 133: handshakes of clients in other languages', async (t) => {
  const { port } = await open(t)
  for (const [name, lines] of Object.entries(HANDSHAKES)) {
    const socket = await RawSocket.open(port)
    socket.write(`GET /ws HTTP/1.1\r\n${lines.join('\r\n').replace('HOST', `127.0.0.1:${port}`)}\r\n\r\n`)
    const { statusCode, headers } = await socket.readResponse()
    t.equal(statusCode, 101, name)
    t.match(headers, { 'sec-websocket-protocol': undefined, 'sec-websocket-extensions': undefined }, name)
    await socket.nextFrame()
    socket.write(frame({ opcode: opcodes.text, payload: '1' }))
    t.equal((await socket.nextFrame()).payload.toString(), '{"echo":1}', name)
    socket.destroy()
  }
})

t.test('case 145: every refusal ends the connection, and says so', async (t) => {
  const { default: rateLimit } = await import('@fastify/rate-limit')
  const verify = () => ({ sub: 'ada', exp: Date.now() / 1000 + 60 })
  const before = (app: { register(plugin: unknown, options: object): unknown }) =>
    app.register(rateLimit, { global: false })
  const { app, port } = await (async () => {
    const { app } = await buildApp(t, { auth: { verify } }, { jwt: false, before })
    const handler = async () => undefined
    app.ws('/hook', { preValidation: async (_request, reply) => reply.code(403).send({ no: 1 }) }, handler)
    app.ws('/throws', { preValidation: async () => Promise.reject(new Error('a fault')) }, handler)
    const querystring = { type: 'object', required: ['x'], properties: { x: { type: 'number' } } }
    app.ws('/schema', { schema: { querystring } }, handler)
    app.ws('/limited', { config: { rateLimit: { max: 1, timeWindow: 60_000 } } }, handler)
    app.ws('/ws', handler)
    app.get('/raw', { websocket: true, onRequest: async (_request, reply) => reply.code(402).send() }, () => undefined)
    await app.listen({ port: 0, host: '127.0.0.1' })
    return { app, port: (app.server.address() as { port: number }).port }
  })()
  const protocols = ['realtime.v1', 'bearer.x']
  ;(await rawUpgrade(port, { path: '/limited', protocols })).destroy()
  for (const [path, status] of Object.entries({
    '/hook': 403,
    '/throws': 500,
    '/schema': 400,
    '/limited': 429,
    '/raw': 402,
    '/nowhere': 404
  })) {
    // With what a proxy does that keeps its connections: the next request right behind the answer.
    const socket = await rawUpgrade(port, { path, protocols })
    t.equal(socket.response.statusCode, status, path)
    t.equal(socket.response.headers.connection, 'close', path)
    await socket.ended()
    socket.destroy()
  }
  t.equal((await rawUpgrade(port, { path: '/ws' })).response.headers.connection, 'close')
  t.equal((await app.inject('/ws')).headers.connection, 'upgrade')
})

t.test('case 181: a handshake without Connection: Upgrade is a plain request without credentials', async (t) => {
  const token = testToken({ sub: 'ada' })
  const seen: unknown[] = []
  const before = (app: {
    addHook(name: 'onRequest', hook: (request: { raw: object; url: string }) => unknown): unknown
  }) =>
    app.addHook('onRequest', async ({ raw, url }) => {
      const { rawHeaders, headers, headersDistinct } = raw as Record<string, unknown>
      seen.push([url, rawHeaders, headers, headersDistinct])
    })
  const { port, logs } = await open(t, {}, { before })
  for (const path of [`/ws?access_token=${token}`, `/nowhere?access_token=${token}&a=1`]) {
    const socket = await RawSocket.open(port)
    const headers = { Connection: undefined, 'Sec-WebSocket-Protocol': `realtime.v1, bearer.${token}` }
    socket.write(requestHead({ path, headers }))
    const response = await socket.readResponse()
    t.ok([426, 404].includes(response.statusCode))
    holdsNoToken(t, token, response, seen, logs)
    socket.destroy()
  }
  t.equal(seen.length, 2)
})

t.test('case 175: clients of injectWS() do not hold up the close', async (t) => {
  const { app } = await buildApp(t, { auth: false }, { jwt: false })
  const closed: number[] = []
  app.get('/raw', { websocket: true }, (socket) => {
    socket.on('close', (code) => closed.push(code))
  })
  await app.ready()
  const first = await app.injectWS('/raw')
  first.close(1000)
  await once(first, 'close')
  const gone = await app.injectWS('/raw')
  gone.terminate()
  const stays = await app.injectWS('/raw')
  // A timer of the connection's would end the close too; it takes seconds.
  let ticks = 0
  const ticking = setInterval(() => ticks++, 500)
  const [code] = await Promise.all([once(stays, 'close'), app.close()])
  clearInterval(ticking)
  t.match(code, [1012])
  t.same(closed.sort(), [1000, 1006, 1012])
  t.ok(ticks < 3, 'no timeout was waited for')
})

t.test('case 170: a handler that returns no promise keeps its connection', async (t) => {
  const { app, logs } = await buildApp(t, { auth: false }, { jwt: false })
  app.ws('/keeps', (socket) => {
    socket.on('message', (data) => socket.send(`got ${data}`))
  })
  app.ws('/loses', async (socket) => {
    socket.on('message', (data) => socket.send(`got ${data}`))
  })
  app.ws('/done', async () => undefined)
  const keeps = await connect(app, '/keeps')
  for (let i = 0; i < 2; i++) t.same(await (await connect(app, '/loses')).closed(), { code: 1000, reason: 'done' })
  t.same(await (await connect(app, '/done')).closed(), { code: 1000, reason: 'done' })
  keeps.sendRaw('1')
  t.equal(await keeps.next(), 'got 1')
  t.match(
    logs.filter(({ level }) => level === 40),
    [{ route: '/loses', msg: /async handler returned/ }],
    'once per route'
  )
  const closing = app.close()
  t.match(await keeps.next(), { notice: { code: 'draining' } })
  t.match(await keeps.closed(), { code: 1012 })
  await closing
})

t.test('case 178: an application in memory says so once, when it starts', async (t) => {
  const { app, logs } = await buildApp(t, { auth: false }, { jwt: false })
  await app.ready()
  await app.ready()
  t.match(
    logs.filter(({ msg }) => msg?.startsWith('no redis')),
    [{ level: 30, msg: /in memory .* this process only/ }]
  )
  t.equal(logs.filter(({ msg }) => msg?.startsWith('no redis')).length, 1)
})
