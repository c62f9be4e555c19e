import t from 'tap'
import { type Claims, DEFAULTS, type ResolvedAuth } from '../../lib/options/options.ts'
import { CLOSE } from '../../lib/protocol/close-codes.ts'
import { DISCONNECT } from '../../lib/protocol/disconnect-codes.ts'
import { pending } from '../support/pending.ts'
import { exp, type Knock, NONE, type RigOptions, rig } from './admission-rig.ts'

/* What is decided, in which order, and how it is told; over real handshakes: test/cases. */

t.test('a good one is admitted, with what its route and its token say', async (t) => {
  const { knock, declared, refused, wheel, logged } = await rig(t)
  const { admit, handshake, answer } = knock()
  t.equal(await admit(), undefined)
  const { heartbeat, limits } = declared.settings
  t.match(handshake.settings, {
    id: 'socket-1',
    kind: 'messages',
    user: { sub: 'ada' },
    heartbeat,
    limits,
    route: '/live'
  })
  handshake.settings?.log.info({ connection: 'socket-1' }, 'admitted')
  t.same(logged.splice(0), [[{ connection: 'socket-1' }, 'admitted']])
  const left = (handshake.settings?.expiresAt ?? 0) - wheel.now()
  t.ok(left > 55_000 && left <= 60_000, 'by the clock of the timers')
  t.same([refused, logged, answer.body], [[], [], undefined])
})

t.test('the cheapest check first, and none after the one that refuses', async (t) => {
  let isOverRate = true
  const limiter = async () => {
    if (isOverRate) throw Object.assign(new Error('429'), { code: 'FST_RT_TEST', statusCode: 429 })
  }
  const settings = { origins: ['https://app.example'] }
  const { knock, state, verified, refused } = await rig(t, { limits: { total: 1 }, settings, route: { limiter } })
  const told = async (how: Knock) => {
    const { admit, answer, leave } = knock(how)
    await admit()
    leave()
    return [answer.statusCode, refused.pop()]
  }
  // Everything is wrong; what is told is mended, and the next is told.
  let headers: Knock['headers'] = { 'sec-websocket-version': '8', origin: 'https://evil.example' }
  let protocols = 'a, a'
  state.draining = true
  t.same(await told({ headers, protocols }), [503, 'FST_RT_DRAINING'])
  state.draining = false
  t.same(await told({ headers, protocols }), [400, 'FST_RT_BAD_HANDSHAKE'])
  headers = { origin: 'https://evil.example' }
  t.same(await told({ headers, protocols }), [403, 'FST_RT_FORBIDDEN_ORIGIN'])
  headers = { origin: 'https://app.example' }
  isOverRate = false
  const holder = knock()
  await holder.admit()
  verified.length = 0
  isOverRate = true
  t.same(await told({ headers, protocols }), [503, 'FST_RT_CAPACITY'])
  holder.leave()
  t.same(await told({ headers, protocols }), [429, 'FST_RT_TEST'])
  isOverRate = false
  t.same(await told({ headers, protocols }), [400, 'FST_RT_SUBPROTOCOL'])
  t.same(verified, [], 'no token was looked at until now')
  protocols = 'a, bearer.ada'
  t.same(await told({ headers, protocols }), [200, undefined])
  t.same(verified, ['ada'])
})

t.test('then the token, then the user’s places, then the drain once more', async (t) => {
  const { knock, state, refused, verified, broker } = await rig(t, { limits: { perUser: 1 } })
  const first = knock({ protocols: 'realtime.v1, bearer.bad' })
  await first.admit()
  t.match(first.answer, { statusCode: 401, headers: { 'www-authenticate': 'Bearer' } })
  t.same(verified, ['bad'])
  const holder = knock()
  await holder.admit()
  const second = knock()
  await second.admit()
  t.match(second.answer, { statusCode: 429, headers: { 'retry-after': 7 } })
  const other = knock({ protocols: 'realtime.v1, bearer.bob' })
  await other.admit()
  t.equal(other.answer.body, undefined, 'the places are each user’s own')
  holder.leave()
  await new Promise(setImmediate)
  const { acquireLease } = broker
  broker.acquireLease = (...args) => {
    state.draining = true
    return acquireLease.apply(broker, args)
  }
  const late = knock()
  await late.admit()
  t.match(late.answer, { statusCode: 503, headers: { 'retry-after': 7 } })
  t.same(refused, ['FST_RT_UNAUTHORIZED', 'FST_RT_USER_CAPACITY', 'FST_RT_DRAINING'])
})

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

t.test('a limit’s own refusal is its own to tell', async (t) => {
  const error = { statusCode: 429, message: 'slow down' }
  const { knock, refused } = await rig(t, { route: { limiter: () => Promise.reject(error) } })
  const { admit, answer } = knock()
  t.equal(await admit().catch((thrown: unknown) => thrown), error)
  t.equal(answer.body, undefined)
  t.equal(refused.length, 1, 'and counts')
})

t.test('a plain request passes through the limit of its route, and nothing else', async (t) => {
  let limited = 0
  const { knock, state, verified } = await rig(t, {
    route: {
      limiter: async () => {
        limited++
      }
    }
  })
  state.draining = true
  const { admit, answer } = knock({ plain: true })
  t.equal(await admit(), undefined)
  t.equal(limited, 1)
  t.same([answer.body, verified], [undefined, []])
  const strict = await rig(t, { route: { limiter: () => Promise.reject(new Error('slow down')) } })
  await t.rejects(strict.knock({ plain: true }).admit(), { message: 'slow down' })
})

t.test('an upgrade to what is no WebSocket route', async (t) => {
  const { knock } = await rig(t, { route: false })
  const { admit, answer } = knock()
  await admit()
  t.match(answer, { statusCode: 404, body: { code: 'FST_RT_NOT_WEBSOCKET_ROUTE' } })
})

t.test('a peer that leaves while it waits is not answered', async (t) => {
  for (const outcome of ['admitted', 'refused']) {
    const slow = pending<Claims>()
    const { knock, refused } = await rig(t, { auth: { verify: () => slow.promise } })
    const { admit, answer, leave, handshake } = knock()
    const admitting = admit()
    await new Promise(setImmediate)
    leave()
    if (outcome === 'admitted') slow.resolve({ sub: 'ada', exp: exp() })
    else slow.reject(new Error('no'))
    await admitting
    t.match(answer, { hijacked: true, body: undefined }, outcome)
    t.equal(handshake.settings, undefined)
    t.same(refused, [])
  }
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

t.test('where a token may stand', async (t) => {
  const header = (token: string) => ({ headers: { authorization: `Bearer ${token}` }, protocols: 'realtime.v1' })
  const cases: [title: string, auth: Partial<ResolvedAuth>, knock: Knock, sub: string | undefined][] = [
    ['in the offer', {}, {}, 'ada'],
    ['in the header', {}, header('bob'), 'bob'],
    ['whatever its case', {}, { headers: { authorization: 'bEaReR  bob' }, protocols: '' }, 'bob'],
    ['in both: the offer’s', {}, { headers: { authorization: 'Bearer bob' } }, 'ada'],
    ['the offer alone', { sources: ['subprotocol'] }, header('bob'), undefined],
    ['the header alone', { sources: ['authorization'] }, {}, undefined],
    ['another scheme', {}, { headers: { authorization: 'Basic bob' }, protocols: '' }, undefined],
    ['nowhere', {}, { protocols: '' }, undefined],
    ['in the URL, where nobody said so', {}, { urlToken: 'eve' }, undefined],
    ['in the URL', { sources: ['query'] }, { urlToken: 'eve', protocols: '' }, 'eve']
  ]
  for (const [title, auth, how, sub] of cases) {
    const { knock } = await rig(t, { auth })
    const { admit, answer, handshake, request } = knock(how)
    await admit()
    t.equal(handshake.settings?.user?.sub, sub, title)
    t.equal(answer.statusCode, sub === undefined ? 401 : 200, title)
    t.notSame(request.query, { access_token: 'eve', other: 'x' }, 'and no hook sees it')
  }
})

t.test('who verifies its clients itself is given the tokens that stood in the URL', async (t) => {
  const { knock } = await rig(t, { auth: false })
  const { admit, request, handshake } = knock({ urlToken: 'eve', protocols: '' })
  t.equal(await admit(), undefined)
  t.same(request.query, { access_token: 'eve', other: 'x' })
  t.match(handshake.settings, { user: null, expiresAt: NONE })
})

t.test('a client of channels may bring its token later, but not in the URL', async (t) => {
  const { knock, verified } = await rig(t, { route: { kind: 'channels' } })
  const later = knock({ protocols: '' })
  t.equal(await later.admit(), undefined)
  t.match(later.handshake.settings, { kind: 'channels', user: null })
  t.same(verified, [])
  const inUrl = knock({ protocols: '', urlToken: 'eve' })
  await inUrl.admit()
  t.equal(inUrl.answer.statusCode, 401)
})

t.test('hooks may take long: a drain that began meanwhile refuses what they let in', async (t) => {
  const { knock, state, admission, refused } = await rig(t)
  const { admit, request, reply, answer } = knock()
  await admit()
  t.equal(await admission.complete(request, reply), undefined)
  state.draining = true
  t.equal(await admission.complete(request, reply), reply)
  t.match(answer, { statusCode: 503, headers: { 'retry-after': 7, connection: 'close' } })
  t.same(refused, ['FST_RT_DRAINING'])
  const plain = knock({ plain: true })
  t.equal(await admission.complete(plain.request, plain.reply), undefined)
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
    const { knock, admission, upgrades } = await rig(t, options)
    const attempt = knock(how)
    if (isAdmitted) await attempt.admit()
    attempt.answer.statusCode = statusCode
    const passed = admission.refusedByHook(attempt.request, attempt.reply, payload)
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
  const { knock, admission, upgrades } = await rig(t)
  const { admit, request, reply, answer, leave } = knock({ headers: { origin: 'https://app.example' } })
  await admit()
  leave()
  answer.statusCode = 403
  t.same(admission.refusedByHook(request, reply, 'x'), { payload: 'x' })
  t.same(upgrades, [])
})

t.test('an error that nobody foresaw quotes nothing; what a hook says itself is its own', async (t) => {
  const { knock, admission } = await rig(t)
  const { admit, request, reply, answer } = knock()
  await admit()
  answer.statusCode = 500
  t.same(admission.refusedByHook(request, reply, 'a hook’s own'), { payload: 'a hook’s own' })
  admission.failed(request)
  const { payload } = admission.refusedByHook(request, reply, 'connect ECONNREFUSED secret') as { payload: string }
  t.same(JSON.parse(payload), { statusCode: 500, error: 'Internal Server Error', message: 'Internal Server Error' })
  answer.statusCode = 400
  t.same(admission.refusedByHook(request, reply, 'a schema’s'), { payload: 'a schema’s' })
})

t.test('a user who became known after the handshake takes a place too', async (t) => {
  const { knock, admission } = await rig(t, { limits: { perUser: 1 }, route: { kind: 'channels' } })
  const [first, second] = [knock({ protocols: '' }), knock({ protocols: '' })]
  const ada = { sub: 'ada', exp: exp() }
  t.equal(await admission.admitUser(first.request, ada), true)
  t.equal(await admission.admitUser(second.request, ada), false)
  t.equal(await admission.admitUser(second.request, { ...ada, sub: 'bob' }), true)
  first.leave()
  await new Promise(setImmediate)
  t.equal(await admission.admitUser(second.request, ada), true)

  const free = await rig(t)
  free.broker.acquireLease = () => Promise.reject(t.fail('without a limit the broker is not asked'))
  await free.knock().admit()
  for (let n = 0; n < 3; n++) t.equal(await free.admission.admitUser(free.knock().request, ada), true)
})

t.test('ws takes messages as large as the largest that a route takes, and no larger', async (t) => {
  const { admission, server, declared } = await rig(t)
  t.equal(server.options.maxPayload, 1, 'not the 100 MiB of its default')
  const declare = (maxPayload: number) =>
    admission.declared({ ...declared, settings: { ...declared.settings, limits: { ...DEFAULTS.limits, maxPayload } } })
  for (const maxPayload of [1_000, 5_000, 2_000]) declare(maxPayload)
  t.equal(server.options.maxPayload, 5_000)
})
