import t from 'tap'
import type { Claims } from '../../../lib/options/options.ts'
import { ChannelError, ERROR } from '../../../lib/protocol/channel-errors.ts'
import { DISCONNECT } from '../../../lib/protocol/disconnect-codes.ts'
import { pending } from '../../support/pending.ts'
import { ADA, type Client, quiet, sessionRig, type TokenVerdict } from '../session-rig.ts'

const now = () => Date.now() / 1000
const IN_TIME = now() + 100
// What a client is told of it: a tenth less.
const TTL = /^(88|89|90)$/

/** What the tokens of these tests are good for. */
function verdictOn(token: string): TokenVerdict {
  if (token === 'expired' || token === 'invalid' || token === 'unavailable') return { fault: token }
  if (token === 'forever') return { claims: { sub: 'ada' } }
  return { claims: { sub: token, exp: IN_TIME, info: { of: token } } }
}

const stranger = { user: null, connect: false } as const
const plain = { version: 'fastify-realtime', ping: 28, pong: true }

t.test('by the token of the handshake', async (t) => {
  const rig = await sessionRig(t, { verify: verdictOn })
  const client = await rig.client({ connect: false })
  t.same(await client.call({ connect: {} }), { connect: { client: 'c1', ...plain } })
  t.same(client.session.user, ADA)
  t.same(client.connection.calls, [], 'it has no other token to come with, so nothing expires by its clock')
})

t.test('by a token of its own', async (t) => {
  const places: unknown[] = []
  const rig = await sessionRig(t, {
    verify: verdictOn,
    admit: async (request, claims) => places.push([request.id, claims.sub]) > 0
  })
  const client = await rig.client(stranger)
  t.match(await client.call({ connect: { token: 'ada' } }), { connect: { ...plain, expires: true, ttl: TTL } })
  t.same(client.session.user?.sub, 'ada')
  const [[, user, expiresAt]] = client.connection.calls as [[string, Claims, number]]
  t.equal(user.sub, 'ada')
  const left = expiresAt - rig.wheel.now()
  t.ok(left > 90_000 && left <= 100_000, 'by the clock of the timers')
  t.same(places, [['request', 'ada']], 'a place was taken for it')

  const forever = await rig.client(stranger)
  t.same(await forever.call({ connect: { token: 'forever' } }), { connect: { client: 'c2', ...plain } })
  t.same(forever.connection.calls[0], ['identify', ADA, Number.POSITIVE_INFINITY])
})

t.test('by both, of one user', async (t) => {
  const rig = await sessionRig(t, { verify: verdictOn, admit: async () => false })
  const client = await rig.client({ connect: false })
  t.match(
    await client.call({ connect: { token: 'ada' } }),
    { connect: { expires: true } },
    'its place is taken already'
  )
  const other = await rig.client({ connect: false })
  other.say({ id: 1, connect: { token: 'eve' } })
  await quiet()
  t.same(other.closed, DISCONNECT.invalidToken)
})

t.test('tokens that are no good, and none', async (t) => {
  const answers: [token: string, answer: object][] = [
    ['', ERROR.unauthorized],
    ['expired', ERROR.tokenExpired],
    ['unavailable', ERROR.internal],
    ['invalid', DISCONNECT.invalidToken]
  ]
  for (const [token, answer] of answers) {
    const rig = await sessionRig(t, { verify: verdictOn, authTimeout: 1_000 })
    const client = await rig.client(stranger)
    client.say({ id: 1, connect: { token } }, { id: 2, rpc: { method: 'x' } })
    if ('reason' in answer) {
      await quiet()
      t.same(client.closed, answer, token)
      continue
    }
    t.same(await client.heard(), [{ id: 1, error: answer }], `${token}, and what came with it is not done`)
    client.say({ id: 3, ping: {} }, {})
    t.same(await client.heard(), [], 'nor what comes after')
    // It hangs up; one that doesn't is hung up on.
    t.equal(client.closed, undefined)
    rig.clock.advance(1_100)
    t.same(client.closed, DISCONNECT.stale)
  }
})

t.test('where nobody has to say who they are, nobody is asked', async (t) => {
  const rig = await sessionRig(t, { authenticated: false, verify: () => t.fail('asked') as never })
  const client = await rig.client(stranger)
  t.same(await client.call({ connect: { token: 'whatever' } }), { connect: { client: 'c1', ...plain } })
  t.equal(client.session.user, null)
  t.same(await client.call({ refresh: { token: 'whatever' } }), { error: ERROR.notAvailable })
})

t.test('a user without a place left', async (t) => {
  const rig = await sessionRig(t, { admit: async () => false })
  const client = await rig.client(stranger)
  client.say({ id: 1, connect: { token: 'ada' } })
  await quiet()
  t.same(client.closed, DISCONNECT.connectionLimit)
  t.same(client.connection.calls, [], 'and it never was the user’s')
})

t.test('the hook is told who connects and what with, and says what for', async (t) => {
  const told: unknown[] = []
  const rig = await sessionRig(t, {
    hooks: {
      onConnect: async ({ user, connection, request, data, name, version }) => {
        told.push([user?.sub, connection, request.id, data, name, version])
        if (data === 'no') throw new ChannelError(403, 'no')
        if (data === 'out') throw new ChannelError(4500, 'out')
        if (data === 'plain') return undefined
        return { info: { nick: 'A' }, data: { motd: 'hi' }, subscriptions: ['rooms/1'] }
      }
    }
  })
  rig.channel('rooms/:room', { history: true, onPublish: () => undefined })
  const client = await rig.client({ connect: false })
  t.match(await client.call({ connect: { data: 1, name: 'js', version: '5' } }), {
    connect: { data: { motd: 'hi' }, subs: { 'rooms/1': { recoverable: true } } }
  })
  t.same(told, [['ada', 'c1', 'request', 1, 'js', '5']])
  t.equal(client.session.info, '{"nick":"A"}')
  await rig.publish('rooms/1', 'hello')
  t.same(await client.heard(), [{ push: { channel: 'rooms/1', pub: { data: 'hello', offset: 1 } } }])

  const attempt = async (data: string) => {
    const other = await rig.client({ user: { sub: 'bob', info: 'from the token' }, connect: false })
    other.say({ id: 1, connect: { data } })
    return { other, heard: await other.heard() }
  }
  t.same((await attempt('no')).heard, [{ id: 1, error: { code: 403, message: 'no' } }])
  t.same((await attempt('out')).other.closed, { code: 4500, reason: 'out' })
  t.equal((await attempt('plain')).other.session.info, '"from the token"', 'which describes it unless told otherwise')
})

t.test('who comes back is given what it missed of what the server subscribed it to', async (t) => {
  const rig = await sessionRig(t, { hooks: { onConnect: () => ({ subscriptions: ['a', 'b'] }) } })
  rig.channel(':id', { history: true })
  const { epoch } = await rig.publish('a', 1, 2)
  const client = await rig.client({ connect: false })
  const subs = { a: { recover: true, epoch, offset: 1 }, b: {}, c: { recover: true } }
  const { connect } = (await client.call({ connect: { subs } })) as { connect: { subs: object } }
  t.match(connect.subs, {
    a: { recovered: true, was_recovering: true, offset: 1, publications: [{ data: 2, offset: 2 }] },
    b: { offset: 0 }
  })
  t.same(Object.keys(connect.subs).sort(), ['a', 'b'], 'and to nothing that it names itself')
})

t.test('a ping is announced a tenth later than it comes, in whole seconds', async (t) => {
  for (const [interval, ping] of [
    [25_000, 28],
    [5_000, 6],
    [100, 1]
  ] as const) {
    const rig = await sessionRig(t, { heartbeat: { interval } })
    t.match(await (await rig.client({ connect: false })).call({ connect: {} }), { connect: { ping } })
  }
})

t.test('what follows connect in its frame waits for it', async (t) => {
  const slow = pending<TokenVerdict>()
  const rig = await sessionRig(t, { verify: () => slow.promise })
  rig.channel('room', { onPublish: () => undefined })
  const client = await rig.client(stranger)
  client.say(
    { id: 1, connect: { token: 'x' } },
    { id: 2, subscribe: { channel: 'room' } },
    { id: 3, publish: { channel: 'room', data: 1 } }
  )
  t.same(await client.heard(), [])
  slow.resolve({ claims: ADA })
  const lines = await client.heard()
  t.match(lines.slice(0, 2), [
    { id: 1, connect: {} },
    { id: 2, subscribe: {} }
  ])
  t.same(lines.length, 4, 'and the publication reaches the subscription before it')
})

t.test('and for the subscriptions that are made with it', async (t) => {
  const rig = await sessionRig(t, { hooks: { onConnect: () => ({ subscriptions: ['slow'] }) } })
  rig.channel('slow', { history: true })
  const release = rig.broker.holdHistory()
  const client = await rig.client({ connect: false })
  client.say({ id: 1, connect: {} }, { id: 2, ping: {} })
  t.same(await client.heard(), [])
  release()
  t.match(await client.heard(), [
    { id: 1, connect: { subs: { slow: {} } } },
    { id: 2, ping: {} }
  ])
})

t.test('a connection that ends while it connects is nobody’s', async (t) => {
  const steps = {
    'its token is verified': (wait: () => Promise<never>) => ({ verify: wait }),
    'a place is taken': (wait: () => Promise<never>) => ({ admit: wait }),
    'the hook thinks': (wait: () => Promise<never>) => ({ hooks: { onConnect: wait } })
  }
  for (const [step, optionsFor] of Object.entries(steps)) {
    await t.test(step, async (t) => {
      const slow = pending<never>()
      let places = 0
      const admit = async () => ++places > 0
      const rig = await sessionRig(t, { verify: verdictOn, admit, ...optionsFor(() => slow.promise) })
      const client = await rig.client(stranger)
      client.say({ id: 1, connect: { token: 'ada' } })
      await quiet()
      client.end()
      slow.resolve({ claims: ADA, subscriptions: ['nowhere'] } as never)
      t.same(await client.heard(), [])
      t.same(
        client.connection.calls.map((asked) => (asked as unknown[])[0]),
        step === 'the hook thinks' ? ['identify'] : []
      )
      t.equal(places, step === 'the hook thinks' ? 1 : 0)
      t.same(rig.logs, [], 'and there is nothing to log')
    })
  }
})

t.test('the history of a channel is lost while the client is connected with it', async (t) => {
  const slow = pending()
  const rig = await sessionRig(t, { hooks: { onConnect: () => ({ subscriptions: ['kept', 'slow'] }) } })
  rig.channel(':name', { history: true, presenceTtl: 30_000 })
  const { addPresence } = rig.broker
  rig.broker.addPresence = async (channel, ...rest) => {
    if (channel === 'slow') await slow.promise
    return addPresence.call(rig.broker, channel, ...rest)
  }
  const client = await rig.client({ connect: false })
  client.say({ id: 1, connect: {} })
  await quiet()
  await rig.broker.removeHistory('kept')
  await quiet()
  t.equal(client.closed, undefined, 'it waits for its answer')
  slow.resolve()
  t.match(await client.heard(), [{ id: 1, connect: { subs: { kept: {}, slow: {} } } }])
  t.same(client.closed, DISCONNECT.insufficientState)
  t.same(client.session.channels, [])
})

t.test('a connection that is closed while its subscriptions are made is not answered', async (t) => {
  const rig = await sessionRig(t, { hooks: { onConnect: () => ({ subscriptions: ['room'] }) } })
  const ends: unknown[] = []
  rig.channel('room', { joinLeave: true, onUnsubscribe: () => ends.push(1) })
  const client = await rig.client({ connect: false })
  const { prepare } = rig.hub
  rig.hub.prepare = async (...args) => {
    const stream = await prepare.apply(rig.hub, args)
    client.connection.close(4_000, '')
    return stream
  }
  client.say({ id: 1, connect: {} })
  t.same(await client.heard(), [])
  client.end()
  await quiet()
  t.notOk(rig.broker.calls.includes('join room'), 'nor do others learn of it')
  t.same(ends, [])
  t.same(client.session.channels, [])
})

t.test('a user who was disconnected while the token was verified', async (t) => {
  const adopt = () => ({ code: 4_001, reason: 'over' })
  const rig = await sessionRig(t, { verify: () => ({ claims: ADA, adopt }) })
  const client = await rig.client(stranger)
  client.say({ id: 1, connect: { token: 'ada' } })
  t.same(await client.heard(), [])
  t.same(client.closed, { code: 4_001, reason: 'over' })
  t.same(client.connection.calls, [], 'it never was the user’s')
})

t.test('a connection that doesn’t connect in time is ended', async (t) => {
  const rig = await sessionRig(t, { authTimeout: 1_000, verify: () => new Promise(() => undefined) })
  const [silent, waiting, connected] = [await rig.client(stranger), await rig.client(stranger), await rig.client()]
  waiting.say({ id: 1, connect: { token: 'x' } })
  await quiet()
  rig.clock.advance(950)
  t.equal(silent.closed, undefined)
  rig.clock.advance(100)
  t.same(silent.closed, DISCONNECT.stale)
  rig.clock.advance(60_000)
  t.equal(connected.closed, undefined)
  t.equal(waiting.closed, undefined, 'who has said who it is waits as long as the application does')
})

const refresh = (client: Client, token: string) => client.call({ refresh: { token } })

t.test('a refresh moves the expiry, and changes nothing where it is refused', async (t) => {
  const rig = await sessionRig(t, { verify: verdictOn })
  const client = await rig.client({ ...stranger, connect: { token: 'ada' } })
  client.connection.calls.length = 0
  t.same(await refresh(client, 'invalid'), { error: ERROR.unauthorized })
  t.same(await refresh(client, 'expired'), { error: { ...ERROR.tokenExpired, temporary: true } })
  t.same(await refresh(client, 'unavailable'), { error: ERROR.internal })
  t.same(await refresh(client, 'eve'), { error: ERROR.permissionDenied })
  t.same(client.connection.calls, [])
  t.match(client.session.user, { sub: 'ada' })
  t.match(await refresh(client, 'ada'), {
    refresh: { client: 'c1', version: 'fastify-realtime', expires: true, ttl: TTL }
  })
  t.match(client.connection.calls, [['identify', { sub: 'ada' }, Number]])
  t.same(await refresh(client, 'forever'), { refresh: { client: 'c1', version: 'fastify-realtime' } })
  t.same(client.session.user, ADA, 'with the claims of the new token')
})

t.test('a refresh that comes too late', async (t) => {
  const slow = pending<TokenVerdict>()
  const rig = await sessionRig(t, { verify: () => slow.promise })
  const client = await rig.client()
  client.connection.calls.length = 0
  client.say({ id: 1, refresh: { token: 'x' } })
  await quiet()
  client.end()
  slow.resolve({ claims: ADA })
  t.same(await client.heard(), [])
  t.same(client.connection.calls, [])
})

t.test('onConnect returns false: the client does not connect, and the log says what to return', async (t) => {
  const rig = await sessionRig(t, { hooks: { onConnect: () => false as unknown as undefined } })
  const client = await rig.client({ connect: false })
  t.same(await client.call({ connect: {} }), { error: ERROR.internal })
  t.match(rig.logs, [[{ err: { message: /throw forbidden\(\) to refuse/ } }]])
})
