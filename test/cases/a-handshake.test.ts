import t from 'tap'
import { atLeast, holdsNoToken } from '../support/app.ts'
import { frame, RawSocket, requestHead } from '../support/raw-socket.ts'
import { goodToken, Stage } from '../support/stage.ts'

/* Handshakes that are wrong, or nearly right. The numbers are those of the list of cases. */

const TOKEN_OFFER = ['realtime.v1', `bearer.${goodToken}`]

t.test('requests to a WebSocket route', async (t) => {
  const stage = await Stage.open(t, {}, {}, (app) => {
    app.get('/plain', () => 'an ordinary answer')
    app.post('/plain', (request) => request.body)
  })

  t.test('A1: a GET without Upgrade is a 426 and takes no slot', async (t) => {
    const response = await stage.app.inject('/ws')
    t.equal(response.statusCode, 426)
    t.equal(response.headers.upgrade, 'websocket')
    t.match(response.json(), { code: 'FST_RT_UPGRADE_REQUIRED' })
    await stage.after(t)
  })

  const bad: Record<string, [spec: Parameters<Stage['upgrade']>[0], status: number, expected: object]> = {
    'A2: another version is a 400 that names ours': [{ version: 99 }, 400, { 'sec-websocket-version': '13' }],
    'A3: a key that is not 16 bytes of base64 is a 400': [{ key: 'c2hvcnQ=' }, 400, {}],
    'A3: no key is a 400': [{ headers: { 'Sec-WebSocket-Key': undefined } }, 400, {}],
    'A4: an offer that repeats itself is a 400': [{ protocols: ['a', 'a', ...TOKEN_OFFER] }, 400, {}],
    'A5: an extension parameter out of bounds is a 400': [
      { headers: { 'Sec-WebSocket-Extensions': 'permessage-deflate; server_max_window_bits=99' } },
      400,
      {}
    ],
    'A5: extensions against the grammar are a 400': [{ headers: { 'Sec-WebSocket-Extensions': '; =' } }, 400, {}],
    'A7: a POST that wants to upgrade is a 404': [{ method: 'POST' }, 404, {}],
    'A7: a PUT that wants to upgrade is a 404': [{ method: 'PUT' }, 404, {}]
  }
  for (const [name, [spec, status, headers]] of Object.entries(bad)) {
    t.test(name, async (t) => {
      const { response } = await stage.upgrade(spec)
      t.equal(response.statusCode, status)
      t.match(response.headers, { ...headers, connection: 'close' })
      t.match(JSON.parse(response.body), { statusCode: status, code: /^FST_RT_/ })
      await stage.after(t, { places: [response] })
    })
  }

  t.test('A5: unknown extensions, and good offers of permessage-deflate, are declined in silence', async (t) => {
    for (const offer of ['x-unknown; a=1', 'permessage-deflate; client_max_window_bits']) {
      const socket = await stage.upgrade({ headers: { 'Sec-WebSocket-Extensions': offer } })
      t.equal(socket.response.statusCode, 101)
      t.notOk(socket.response.headers['sec-websocket-extensions'])
      socket.destroy()
      await stage.quiet()
    }
    await stage.after(t)
  })

  t.test('A6: Upgrade: h2c gets the ordinary answer, and the connection stays good for more', async (t) => {
    const socket = await RawSocket.open(stage.port)
    const headers = {
      Connection: 'Upgrade, HTTP2-Settings',
      Upgrade: 'h2c',
      'HTTP2-Settings': 'AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA'
    }
    const plain = { 'Sec-WebSocket-Version': undefined, 'Sec-WebSocket-Key': undefined, ...headers }
    for (let i = 0; i < 2; i++) {
      socket.write(requestHead({ path: '/plain', headers: plain }))
      t.match(await socket.readResponse(), { statusCode: 200, body: 'an ordinary answer' })
    }
    const body = JSON.stringify({ a: 'body', of: 'ours' })
    const posted = { ...plain, 'Content-Type': 'application/json', 'Content-Length': String(body.length) }
    socket.write(requestHead({ method: 'POST', path: '/plain', headers: posted }) + body)
    t.match(await socket.readResponse(), { statusCode: 200, body })
    // In two segments: the body comes when the request has been handed on already.
    socket.write(requestHead({ method: 'POST', path: '/plain', headers: posted }) + body.slice(0, 5))
    socket.write(body.slice(5))
    t.match(await socket.readResponse(), { statusCode: 200, body })
    socket.write('GET /plain HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
    t.match(await socket.readResponse(), { statusCode: 200 })
    await socket.ended()
    socket.destroy()
    await stage.after(t)
  })

  t.test('A6: other options of Connection survive, and h2c at a WebSocket route is a 426', async (t) => {
    const socket = await RawSocket.open(stage.port)
    const headers = { Connection: 'close, upgrade', Upgrade: 'h2c' }
    socket.write(requestHead({ path: '/ws', headers }))
    const response = await socket.readResponse()
    t.equal(response.statusCode, 426)
    t.match(response.headers, { connection: /close|upgrade/ })
    socket.destroy()
    await stage.after(t)
  })

  t.test('A8: no other spelling of the path gets past authentication', async (t) => {
    const paths = [
      '/nowhere',
      `http://127.0.0.1:${stage.port}/ws`,
      '//ws',
      '/ws/',
      '/%77s',
      '/ws;x',
      '/WS',
      '/ws?',
      '/ws#'
    ]
    for (const path of [...paths, '/./ws', '/x/../ws', '/ws%00', '/ws%2f']) {
      const socket = await stage.upgrade({ path, protocols: ['realtime.v1'] })
      t.ok([400, 401, 404].includes(socket.response.statusCode), `${path}: ${socket.response.statusCode}`)
      socket.destroy()
      await stage.quiet()
    }
    await stage.after(t)
  })

  t.test('A8: an upgrade to an ordinary route is a 404', async (t) => {
    const { response } = await stage.upgrade({ path: '/plain' })
    t.equal(response.statusCode, 404)
    t.match(JSON.parse(response.body), { code: 'FST_RT_NOT_WEBSOCKET_ROUTE' })
    await stage.after(t)
  })

  t.test('A8: a HEAD that wants to upgrade does not', async (t) => {
    const socket = await RawSocket.open(stage.port)
    socket.write(requestHead({ method: 'HEAD', path: '/ws', protocols: TOKEN_OFFER }))
    await socket.ended()
    t.match(socket.unread.toString(), /^HTTP\/1\.1 4\d\d /)
    socket.destroy()
    await stage.after(t, { places: [socket.unread.toString()] })
  })

  t.test('A9: 2,100 headers are a 101 or a refusal, and no crash', async (t) => {
    const head = requestHead({ path: '/ws', protocols: TOKEN_OFFER })
    const socket = await RawSocket.open(stage.port)
    socket.write(`${head.slice(0, -2)}${'a:\r\n'.repeat(2_100)}\r\n`)
    const { statusCode } = await socket.readResponse()
    t.ok(statusCode === 101 || (statusCode >= 400 && statusCode < 500), String(statusCode))
    socket.destroy()
    await stage.after(t)
  })

  t.test('A10: 17 KB of header are a 431, logged at info at most', async (t) => {
    const { response } = await stage.upgrade({ headers: { 'X-Long': 'x'.repeat(17_000) } })
    t.equal(response.statusCode, 431)
    t.same(atLeast(stage.logs, 'warn'), [])
    await stage.after(t, { places: [response] })
  })

  t.test('A11: a second handshake behind the first is taken for frames: 1002', async (t) => {
    const trailing = Buffer.from(requestHead({ path: '/ws', protocols: TOKEN_OFFER }))
    const socket = await stage.upgrade({ trailing })
    t.equal(socket.response.statusCode, 101)
    t.equal((await socket.closeFrame()).code, 1002)
    socket.destroy()
    await stage.after(t)
  })

  t.test('A17: a frame in the segment of the handshake is handled once, in order, after the opening', async (t) => {
    const trailing = Buffer.concat([1, 2, 3].map((n) => frame({ payload: `{"n":${n}}` })))
    const socket = await stage.upgrade({ trailing })
    for (const n of [1, 2, 3]) t.same(JSON.parse((await socket.nextFrame()).text), { echo: { n } })
    t.equal(socket.unread.length, 0)
    socket.destroy()
    await stage.after(t)
  })
})

t.test('slow and broken clients', async (t) => {
  // Long enough that the clients who don't dawdle are never taken for such, however busy the machine.
  const http = { headersTimeout: 2_000, requestTimeout: 2_000, connectionsCheckingInterval: 50 }
  const stage = await Stage.open(t, {}, { fastify: { http } as object })

  t.test('A12: a handshake byte by byte completes, or is a 408 in time', async (t) => {
    const socket = await RawSocket.open(stage.port)
    const head = requestHead({ path: '/ws', protocols: TOKEN_OFFER })
    const write = (i: number) => {
      socket.net.write(head[i] as string, (error) => {
        if (!error && i + 1 < head.length) setImmediate(write, i + 1)
      })
    }
    write(0)
    t.match(await socket.readResponse(), { statusCode: /^(101|408)$/ })
    socket.destroy()
    await stage.after(t)
  })

  t.test('A12: 500 clients that stop half way delay nobody', async (t) => {
    const half = requestHead({ path: '/ws', protocols: TOKEN_OFFER }).slice(0, 60)
    const slow = await Promise.all(Array.from({ length: 500 }, () => RawSocket.open(stage.port)))
    for (const socket of slow) socket.write(half)
    let answered = 0
    const answering = slow.map((socket) => socket.readResponse().finally(() => answered++))
    const good = await stage.upgrade()
    t.equal(good.response.statusCode, 101)
    t.equal(answered, 0, 'it did not wait until they were given up')
    good.destroy()
    const answers = await Promise.all(answering)
    t.same([...new Set(answers.map(({ statusCode }) => statusCode))], [408])
    for (const socket of slow) socket.destroy()
    await stage.after(t)
  })

  t.test('A13: half a head and silence is a 408', async (t) => {
    const socket = await RawSocket.open(stage.port)
    socket.write(requestHead({ path: '/ws' }).slice(0, 40))
    t.match(await socket.readResponse(), { statusCode: 408 })
    await socket.ended()
    socket.destroy()
    await stage.after(t)
  })
})

t.test('hooks that take their time', async (t) => {
  const held = () => {
    let release: (outcome?: Promise<never>) => void = () => undefined
    let reached: () => void = () => undefined
    const entered = new Promise<void>((resolve) => {
      reached = resolve
    })
    const wait = () => {
      reached()
      return new Promise<void>((resolve) => {
        release = resolve as typeof release
      })
    }
    return { entered, wait, release: (outcome?: Promise<never>) => release(outcome) }
  }
  let step = held()
  let handled = 0
  const slow = new Set<string>()
  const claims = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString())
  const verify = async (token: string) => {
    if (slow.delete(token)) await step.wait()
    return claims(token)
  }
  const stage = await Stage.open(
    t,
    { limits: { upgradeTimeout: 1_500 }, auth: { verify: (token) => verify(token) } },
    { jwt: false },
    (app) => {
      app.ws('/hook', { preValidation: async () => step.wait() }, async () => {
        handled++
      })
    }
  )
  for (const where of ['auth', 'hook'] as const) {
    for (const outcome of ['resolves', 'rejects'] as const) {
      t.test(`A14: RST while ${where} is pending: what it ${outcome} with is dropped`, async (t) => {
        step = held()
        const socket = await RawSocket.open(stage.port)
        if (where === 'auth') slow.add(goodToken)
        socket.write(requestHead({ path: where === 'auth' ? '/ws' : '/hook', protocols: TOKEN_OFFER }))
        await step.entered
        socket.reset()
        await stage.quiet()
        step.release(outcome === 'rejects' ? Promise.reject(new Error('too late')) : undefined)
        await stage.after(t, { errors: where === 'hook' && outcome === 'rejects' ? 1 : 0 })
        t.equal(handled, 0)
      })
    }

    t.test(`A15: ${where} that never settles is a 503 after upgradeTimeout`, async (t) => {
      step = held()
      if (where === 'auth') slow.add(goodToken)
      const start = performance.now()
      const { response } = await stage.upgrade({ path: where === 'auth' ? '/ws' : '/hook' })
      t.ok(performance.now() - start >= 1_490)
      t.equal(response.statusCode, 503)
      t.match(response.headers, { 'retry-after': /^\d+$/, connection: 'close' })
      t.match(JSON.parse(response.body), { code: 'FST_RT_HANDSHAKE_TIMEOUT' })
      await stage.after(t, { places: [response] })
      step.release()
      t.equal(handled, 0)
    })
  }

  t.test('A14: a client that half-closes while auth is pending is let go', async (t) => {
    step = held()
    slow.add(goodToken)
    const socket = await RawSocket.open(stage.port)
    socket.write(requestHead({ path: '/ws', protocols: TOKEN_OFFER }))
    await step.entered
    socket.end()
    step.release()
    await socket.ended()
    await stage.after(t)
  })
})

t.test('A16: a hook that throws is a 500 that says nothing, logged once', async (t) => {
  const secret = 'connect ECONNREFUSED db.internal as admin:hunter2'
  const fail = async () => {
    throw new Error(secret)
  }
  const stage = await Stage.open(
    t,
    { origins: (origin) => (origin === 'https://fail.example' ? fail() : true) },
    {},
    (app) => {
      app.ws('/throws', { onRequest: fail }, async () => undefined)
      app.get('/raw', { websocket: true, preValidation: fail }, () => undefined)
    }
  )
  const cases = [
    { path: '/throws' },
    { path: '/throws', headers: { Origin: 'https://good.example' } },
    { path: '/raw' },
    { path: '/ws', headers: { Origin: 'https://fail.example' } }
  ]
  for (const spec of cases) {
    const { response } = await stage.upgrade(spec)
    t.equal(response.statusCode, 500)
    t.same(JSON.parse(response.body), {
      statusCode: 500,
      error: 'Internal Server Error',
      message: 'Internal Server Error'
    })
    t.match(atLeast(stage.logs, 'error'), [{ err: { message: secret } }])
    holdsNoToken(t, goodToken, response, stage.logs)
    await stage.after(t, { errors: 1 })
  }
})
