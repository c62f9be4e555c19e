import t from 'tap'
import { type Claims, DEFAULTS, type ResolvedAuth } from '../../lib/options/options.ts'
import { pending } from '../support/pending.ts'
import { exp, type Knock, NONE, type RigOptions, rig } from './admission-rig.ts'

/* What is decided, in which order, and how it is told; over real handshakes: test/cases. */

t.test('a good one is admitted, without a word', async (t) => {
  const { knock, refused, logged } = await rig(t)
  const { admit, handshake, answer } = knock()
  t.equal(await admit(), true)
  t.match(handshake.settings, { id: 'socket-1', user: { sub: 'ada' } })
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

t.test('a limit’s own refusal is its own to tell', async (t) => {
  const error = { statusCode: 429, message: 'slow down' }
  const { knock, refused } = await rig(t, { route: { limiter: () => Promise.reject(error) } })
  const { admit, answer } = knock()
  t.equal(await admit().catch((thrown: unknown) => thrown), error)
  t.equal(answer.body, undefined)
  t.equal(refused.length, 1, 'and counts')
})

t.test('whatever a check throws, or rejects with, is a refusal', async (t) => {
  for (const thrown of [undefined, null, 0, '', false]) {
    const refusals: [string, RigOptions][] = [
      ['rejected by the limit', { route: { limiter: () => Promise.reject(thrown) } }],
      ['rejected by authenticate', { auth: { authenticate: () => Promise.reject(thrown) } }],
      [
        'thrown by origins',
        {
          settings: {
            origins: [
              () => {
                throw thrown
              }
            ]
          }
        }
      ]
    ]
    for (const [how, options] of refusals) {
      const { knock } = await rig(t, options)
      const { admit, handshake } = knock({ headers: { origin: 'https://app.example' }, protocols: 'realtime.v1' })
      // Fastify takes an error that is false for none, and would go on.
      await t.rejects(admit(), Error, `${String(thrown)} ${how}`)
      t.equal(handshake.settings, undefined)
    }
    const { knock } = await rig(t, { route: { limiter: () => Promise.reject(thrown) } })
    await t.rejects(knock({ plain: true }).admit(), Error)
  }
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
  t.equal(await admit(), true)
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

t.test('a peer that left during an earlier hook takes no place', async (t) => {
  const { knock, verified } = await rig(t, { limits: { total: 1 } })
  const left = knock()
  left.leave()
  t.equal(await left.admit(), false)
  t.match(left.answer, { hijacked: true, body: undefined })
  t.equal(await knock().admit(), true, 'the only place is free')
  t.same(verified, ['ada'])
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
  t.equal(await admit(), true)
  t.same(request.query, { access_token: 'eve', other: 'x' })
  t.match(handshake.settings, { user: null, expiresAt: NONE })
})

t.test('a client of channels may bring its token later, but not in the URL', async (t) => {
  const { knock, verified } = await rig(t, { route: { kind: 'channels' } })
  const later = knock({ protocols: '' })
  t.equal(await later.admit(), true)
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
  t.equal(admission.complete(request, reply), true)
  state.draining = true
  t.equal(admission.complete(request, reply), false)
  t.match(answer, { statusCode: 503, headers: { 'retry-after': 7, connection: 'close' } })
  t.same(refused, ['FST_RT_DRAINING'])
  const plain = knock({ plain: true })
  t.equal(admission.complete(plain.request, plain.reply), true)
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
