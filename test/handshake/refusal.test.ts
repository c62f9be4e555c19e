import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import type { FastifyError } from 'fastify'
import t from 'tap'
import { DrainingError, NotWebSocketRouteError } from '../../lib/errors.ts'
import { CLOSE } from '../../lib/protocol/close-codes.ts'
import { DISCONNECT } from '../../lib/protocol/disconnect-codes.ts'
import { type Knock, type RigOptions, rig } from './admission-rig.ts'

/* How refusals are answered: as HTTP, or as a close. Over real handshakes: test/cases. */

t.test('a refusal says no more than it must, and closes the connection', async (t) => {
  const { knock, logged } = await rig(t)
  const version = knock({ headers: { 'sec-websocket-version': '8' } })
  await version.admit()
  t.match(version.answer, { statusCode: 400, headers: { connection: 'close', 'sec-websocket-version': '13' } })
  const bad = knock({ protocols: 'realtime.v1, bearer.bad' })
  await bad.admit()
  t.strictSame(bad.answer.body, {
    statusCode: 401,
    code: 'FST_RT_UNAUTHORIZED',
    error: 'Unauthorized',
    message: 'Unauthorized'
  })
  const expired = knock({ protocols: 'realtime.v1, bearer.expired' })
  await expired.admit()
  t.same(
    logged.map((args) => (args as [object])[0]),
    [
      { code: 'FST_RT_BAD_HANDSHAKE', reason: 'Sec-WebSocket-Version must be 13' },
      { code: 'FST_RT_UNAUTHORIZED', reason: 'Error' },
      { code: 'FST_RT_UNAUTHORIZED', reason: 'FAST_JWT_EXPIRED' }
    ],
    'a library’s own words are not logged'
  )
})

t.test('when to come back is not said twice', async (t) => {
  const { knock, state } = await rig(t)
  state.draining = true
  const { admit, answer } = knock()
  answer.headers['retry-after'] = 99
  await admit()
  t.equal(answer.headers['retry-after'], 99)
})

t.test('a page’s own faults are told by a close code, where the page could not hear them otherwise', async (t) => {
  const origin = 'https://app.example'
  const bad = 'realtime.v1, bearer.bad'
  const cases: [title: string, options: RigOptions, knock: Knock, told: number | { code: number; reason: string }][] = [
    ['a browser', {}, { headers: { origin }, protocols: bad }, CLOSE.unauthorized],
    ['no browser', {}, { protocols: bad }, 401],
    ['a browser, refused plainly', { auth: { refuse: 'http' } }, { headers: { origin }, protocols: bad }, 401],
    ['no browser, let in to hear it', { auth: { refuse: 'close' } }, { protocols: bad }, CLOSE.unauthorized],
    ['a browser that offered nothing else', {}, { headers: { origin }, protocols: 'bearer.ada' }, 400],
    ['a browser without a token', {}, { headers: { origin }, protocols: 'realtime.v1' }, CLOSE.unauthorized],
    [
      'in the words of channels',
      { route: { kind: 'channels' } },
      { headers: { origin }, protocols: bad },
      DISCONNECT.invalidToken
    ],
    [
      'in the words of channels, expired',
      { route: { kind: 'channels' } },
      { headers: { origin }, protocols: 'realtime.v1, bearer.expired' },
      DISCONNECT.expired
    ],
    ['two tokens', {}, { headers: { origin }, protocols: 'realtime.v1, bearer.a, bearer.b' }, CLOSE.subprotocol],
    [
      'no place at all, on channels',
      { route: { kind: 'channels' }, limits: { total: 0 } },
      { headers: { origin }, protocols: bad },
      503
    ],
    ['an offer that is malformed', { auth: { refuse: 'close' } }, { protocols: 'a, a' }, 400],
    [
      'another origin is always refused plainly',
      { auth: { refuse: 'close' } },
      { headers: { origin: 'https://evil.example' } },
      403
    ]
  ]
  for (const [title, options, how, told] of cases) {
    const { knock, upgrades, logged } = await rig(t, options)
    const { admit, answer, handshake } = knock(how)
    await admit()
    t.equal(logged.length, 1, title)
    if (typeof told === 'number') {
      t.equal(answer.statusCode, told, title)
      t.same(upgrades, [])
      continue
    }
    t.match(answer, { hijacked: true, body: undefined }, title)
    t.same(upgrades, [[handshake.stream, told.code, told.reason]])
    t.match(handshake.settings, { kind: 'refused', user: null }, 'and it is nobody')
  }
})

t.test('what a route’s own hooks refuse with is told to a page by a code too', async (t) => {
  const origin = 'https://app.example'
  const payload = '{"statusCode":403}'
  const refusedWith = async (
    statusCode: number,
    how: Knock = { headers: { origin } },
    isAdmitted = true,
    options: RigOptions = {}
  ) => {
    const { knock, refusals, upgrades } = await rig(t, options)
    const attempt = knock(how)
    if (isAdmitted) await attempt.admit()
    attempt.answer.statusCode = statusCode
    const passed = refusals.onSend(attempt.request, attempt.reply, payload)
    return { passed, close: (upgrades[0] as unknown[] | undefined)?.slice(1), attempt }
  }
  for (const [status, { code, reason }] of [
    [400, CLOSE.badRequest],
    [401, CLOSE.unauthorized],
    [403, CLOSE.forbidden]
  ] as const) {
    const { passed, close } = await refusedWith(status)
    t.equal(passed, undefined)
    t.same(close, [code, reason])
  }
  const { code, reason } = CLOSE.forbidden
  t.same((await refusedWith(403, undefined, true, { auth: false })).close, [code, reason], 'of anonymous clients too')
  t.same((await refusedWith(404)).passed, { payload })
  t.same((await refusedWith(403, {})).passed, { payload }, 'no browser: as it is')
  t.same(
    (await refusedWith(403, { headers: { origin } }, false)).passed,
    { payload },
    'what was refused here is decided'
  )
  t.same((await refusedWith(403, { headers: { origin }, plain: true })).passed, { payload }, 'a plain request')
})

t.test('nor is one told by a code that has gone', async (t) => {
  const { knock, refusals, upgrades } = await rig(t)
  const { admit, request, reply, answer, leave } = knock({ headers: { origin: 'https://app.example' } })
  await admit()
  leave()
  answer.statusCode = 403
  t.same(refusals.onSend(request, reply, 'x'), { payload: 'x' })
  t.same(upgrades, [])
})

t.test('an error that nobody foresaw quotes nothing; what a hook says itself is its own', async (t) => {
  const { knock, refusals } = await rig(t)
  const { admit, request, reply, answer } = knock()
  await admit()
  answer.statusCode = 500
  t.same(refusals.onSend(request, reply, 'a hook’s own'), { payload: 'a hook’s own' })
  refusals.failed(request)
  const { payload } = refusals.onSend(request, reply, 'connect ECONNREFUSED secret') as { payload: string }
  t.same(JSON.parse(payload), { statusCode: 500, error: 'Internal Server Error', message: 'Internal Server Error' })
  answer.statusCode = 400
  t.same(refusals.onSend(request, reply, 'a schema’s'), { payload: 'a schema’s' })
})

t.test('an answer that is written past Fastify has the same headers and body', async (t) => {
  const { refusals, refused, logged } = await rig(t)
  const write = (error: FastifyError, reason?: string) => {
    const stream = new PassThrough()
    refusals.write({} as never, stream, error, reason)
    const [head = '', body = ''] = String(stream.read()).split('\r\n\r\n')
    const [status, ...headers] = head.split('\r\n')
    return { stream, status, headers, body }
  }
  const draining = write(new DrainingError())
  t.equal(draining.status, 'HTTP/1.1 503 Service Unavailable')
  t.strictSame(draining.headers, [
    'connection: close',
    'retry-after: 7',
    'content-type: application/json; charset=utf-8',
    `content-length: ${draining.body.length}`
  ])
  t.strictSame(JSON.parse(draining.body), {
    statusCode: 503,
    code: 'FST_RT_DRAINING',
    error: 'Service Unavailable',
    message: 'The server is restarting'
  })
  await once(draining.stream.resume(), 'close')
  t.notMatch(write(new NotWebSocketRouteError(), 'why').headers, [/retry-after/])
  t.same(refused, ['FST_RT_DRAINING', 'FST_RT_NOT_WEBSOCKET_ROUTE'])
  t.same(logged, [
    [{ code: 'FST_RT_DRAINING', reason: 'The server is restarting' }, 'handshake refused'],
    [{ code: 'FST_RT_NOT_WEBSOCKET_ROUTE', reason: 'why' }, 'handshake refused']
  ])
})

t.test('a streaming request that was answered, or whose client has left, is not answered late', async (t) => {
  const { knock, refusals, refused } = await rig(t)
  const answered = knock()
  Object.assign(answered.reply, { sent: true })
  const left = knock()
  left.leave()
  for (const { request, reply, handshake } of [answered, left]) refusals.late({ request, reply, handshake } as never)
  t.same(refused, [])
})
