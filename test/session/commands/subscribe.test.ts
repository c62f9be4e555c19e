import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import { ERROR, forbidden } from '../../../lib/protocol/channel-errors.ts'
import { UNSUBSCRIBE } from '../../../lib/protocol/disconnect-codes.ts'
import { pending } from '../../support/pending.ts'
import { ADA, type Client, quiet, type SessionRig, sessionRig } from '../session-rig.ts'

const now = () => Date.now() / 1000
const subscribe = (client: Client, channel: string, more: object = {}) =>
  client.call({ subscribe: { channel, ...more } })
const refresh = (client: Client, channel: string, token: string) => client.call({ sub_refresh: { channel, token } })

/** Lets this many seconds pass, on the clock of the timers. */
async function pass(rig: SessionRig, seconds: number): Promise<void> {
  rig.clock.advance(seconds * 1_000)
  await quiet()
}

t.test('the hook is told who wants what, and gives what it is granted with', async (t) => {
  const rig = await sessionRig(t)
  const told: unknown[] = []
  rig.channel('rooms/:room', {
    onSubscribe: async ({ user, connection, request, channel, params, data, token, claims }) => {
      told.push([user, connection, request.id, channel, params.room, data, token, claims])
      if (params.room === 'no') throw forbidden()
      return { data: { motd: 'hi' }, info: { seat: 1 } }
    }
  })
  rig.channel('open')
  const client = await rig.client()
  t.same(await subscribe(client, 'rooms/1', { data: { from: 'here' }, token: 'x' }), {
    subscribe: { data: { motd: 'hi' } }
  })
  t.same(told, [[ADA, 'c1', 'request', 'rooms/1', '1', { from: 'here' }, 'x', undefined]])
  t.match(JSON.parse(`${client.session.subscriptions.get('rooms/1')?.info}`), { chan_info: { seat: 1 } })
  t.same(await subscribe(client, 'rooms/no'), { error: ERROR.permissionDenied })
  t.same(await subscribe(client, 'open'), { subscribe: {} }, 'without a hook everybody may')
  t.same(client.session.channels, ['rooms/1', 'open'])
})

t.test('while one is decided on there is no second', async (t) => {
  const rig = await sessionRig(t)
  const decided = pending()
  rig.channel('slow', { onSubscribe: () => decided.promise })
  const client = await rig.client()
  client.say({ id: 1, subscribe: { channel: 'slow' } })
  await quiet()
  t.same(client.session.channels, ['slow'])
  client.say({ id: 2, subscribe: { channel: 'slow' } })
  decided.resolve()
  t.same(await client.heard(), [
    { id: 1, subscribe: {} },
    { id: 2, error: ERROR.alreadySubscribed }
  ])
})

t.test('one that nobody waits for any more is none', async (t) => {
  const rig = await sessionRig(t)
  const decided = pending()
  const ended: unknown[] = []
  rig.channel('slow', {
    history: true,
    presenceTtl: 30_000,
    onSubscribe: () => decided.promise,
    onUnsubscribe: () => ended.push(1)
  })
  const [gone, dropped] = [await rig.client(), await rig.client()]
  for (const client of [gone, dropped]) client.say({ id: 1, subscribe: { channel: 'slow' } })
  await quiet()
  gone.end()
  dropped.session.unsubscribe('slow')
  t.same(await dropped.heard(), [], 'the client does not know of it')
  decided.resolve()
  t.same(await dropped.heard(), [{ id: 1, error: ERROR.permissionDenied }])
  t.same(await gone.heard(), [])
  t.same(await rig.broker.presence('slow'), [])
  for (const { session } of [gone, dropped]) t.same(session.channels, [])
  t.same(ended, [], 'it had never begun')
})

t.test('a client that unsubscribes gets nothing more, and may subscribe again', async (t) => {
  const rig = await sessionRig(t)
  const ended: unknown[] = []
  rig.channel('rooms/:room', {
    onUnsubscribe: ({ user, channel, params, code, reason }) => ended.push([user, channel, params.room, code, reason])
  })
  const client = await rig.client()
  await subscribe(client, 'rooms/1')
  t.same(await client.call({ unsubscribe: { channel: 'rooms/1' } }), { unsubscribe: {} })
  await rig.publish('rooms/1', 1)
  t.same(await client.heard(), [])
  t.same(ended, [[ADA, 'rooms/1', '1', 0, 'client unsubscribed']])
  t.same(await client.call({ unsubscribe: { channel: 'rooms/1' } }), { unsubscribe: {} }, 'once more is none too')
  t.equal(ended.length, 1)
  t.same(await subscribe(client, 'rooms/1'), { subscribe: {} })
})

t.test('one that expires ends with its time, and the client is told', async (t) => {
  const rig = await sessionRig(t)
  const ended: unknown[] = []
  rig.channel('short', {
    onSubscribe: () => ({ expiresAt: now() + 20.5 }),
    onUnsubscribe: ({ code }) => ended.push(code)
  })
  const client = await rig.client()
  t.same(await subscribe(client, 'short'), { subscribe: {} }, 'nobody would hear it ask for more')
  await pass(rig, 20)
  t.same(client.session.channels, ['short'])
  await pass(rig, 1)
  t.same(client.session.channels, [])
  t.same(await client.heard(), [{ push: { channel: 'short', unsubscribe: UNSUBSCRIBE.expired } }])
  t.same(ended, [UNSUBSCRIBE.expired.code])
  t.equal(client.closed, undefined, 'the connection goes on')
})

t.test('one that is over at once is refused', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('late', { onSubscribe: () => ({ expiresAt: now() - 1 }) })
  const client = await rig.client()
  t.same(await subscribe(client, 'late'), { error: ERROR.expired })
  t.same(client.session.channels, [])
})

t.test('an end that is no time is the application’s fault, and nothing is left of the subscription', async (t) => {
  const rig = await sessionRig(t)
  const ends: unknown[] = [Number.NaN, '2030-01-01']
  rig.channel('odd', {
    presenceTtl: 30_000,
    joinLeave: true,
    onSubscribe: () => ({ expiresAt: ends.shift() as number }),
    onRefresh: () => ({ expiresAt: Number.NaN })
  })
  rig.channel('endless', { onSubscribe: () => ({ expiresAt: Number.POSITIVE_INFINITY }), onRefresh: () => undefined })
  const client = await rig.client()
  for (let tries = 0; tries < 2; tries++) t.same(await subscribe(client, 'odd'), { error: ERROR.internal })
  t.match(rig.logs[0], [{ err: { message: 'expiresAt is no number of seconds since 1970' } }, 'channel command failed'])
  t.same(client.session.channels, [])
  t.same(await rig.broker.presence('odd'), [])
  t.match(await subscribe(client, 'odd'), { subscribe: {} })
  t.same(await refresh(client, 'odd', 'x'), { error: ERROR.internal })
  t.same(client.session.channels, ['odd'], 'it goes on as it was')
  t.same(await subscribe(client, 'endless'), { subscribe: {} })
})

t.test('a subscription that ends as soon as it begins has its answer and its end, once', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('kept', {
    history: true,
    joinLeave: true,
    onSubscribe: () => ({ expiresAt: now() + 20.5 }),
    onRefresh: () => undefined
  })
  const client = await rig.client()
  const { prepare } = rig.hub
  // Its history is lost before it begins.
  rig.hub.prepare = async (...args) => {
    const stream = await prepare.apply(rig.hub, args)
    await rig.broker.removeHistory('kept')
    while (rig.hub.positionOf('kept')?.epoch === stream.epoch) await nextTurn()
    return stream
  }
  client.say({ id: 1, subscribe: { channel: 'kept' } })
  t.match(await client.heard(), [
    { id: 1, subscribe: { expires: true, ttl: 18 } },
    { push: { channel: 'kept', unsubscribe: UNSUBSCRIBE.insufficientState } }
  ])
  t.same(client.session.channels, [])
  t.notOk(rig.broker.calls.includes('join kept'))
  await pass(rig, 60)
  t.same(await client.heard(), [], 'and does not expire either')
})

t.test('a refresh gives it more time, or all there is', async (t) => {
  const rig = await sessionRig(t)
  const told: unknown[] = []
  rig.channel('short', {
    onSubscribe: () => ({ expiresAt: now() + 20.5 }),
    onRefresh: async ({ user, channel, token, claims }) => {
      told.push([user, channel, token, claims])
      if (token === 'no') throw forbidden()
      if (token === 'late') return { expiresAt: now() - 1 }
      if (token === 'checked') return undefined
      return { expiresAt: token === 'forever' ? Number.POSITIVE_INFINITY : now() + 100 }
    }
  })
  const [ada, bob, lin] = [
    await rig.client(),
    await rig.client({ user: { sub: 'bob' } }),
    await rig.client({ user: { sub: 'lin' } })
  ]
  for (const client of [ada, bob, lin]) await subscribe(client, 'short')
  t.match(await refresh(ada, 'short', 'more'), { sub_refresh: { expires: true, ttl: /^(89|90)$/ } })
  t.same(told, [[ADA, 'short', 'more', undefined]])
  t.same(await refresh(bob, 'short', 'forever'), { sub_refresh: {} })
  t.match(await refresh(lin, 'short', 'checked'), { sub_refresh: { expires: true, ttl: /^1[78]$/ } }, 'its end stays')
  t.same(await refresh(ada, 'short', 'no'), { error: ERROR.permissionDenied })
  t.same(await refresh(ada, 'short', 'late'), { error: { ...ERROR.expired, temporary: true } }, 'it may try again')
  t.match(await refresh(ada, 'short', ''), { sub_refresh: { expires: true } }, 'the hook may want no token')
  await pass(rig, 60)
  t.same(ada.session.channels, ['short'], 'what was refused took nothing away')
  t.same(lin.session.channels, [], 'a hook that gives no time makes nobody stay for ever')
  await pass(rig, 60)
  t.same(ada.session.channels, [])
  t.same(bob.session.channels, ['short'])
})

t.test('what can’t be refreshed', async (t) => {
  const rig = await sessionRig(t)
  const decided = pending()
  rig.channel('plain')
  rig.channel('slow', { onRefresh: () => decided.promise })
  const client = await rig.client()
  t.same(await refresh(client, 'plain', 'x'), { error: ERROR.permissionDenied }, 'not subscribed')
  await subscribe(client, 'plain')
  t.same(await refresh(client, 'plain', 'x'), { error: ERROR.notAvailable })
  await subscribe(client, 'slow')
  client.say({ id: 1, sub_refresh: { channel: 'slow', token: 'x' } })
  await quiet()
  client.session.unsubscribe('slow')
  decided.resolve()
  t.same(await client.heard(), [
    { push: { channel: 'slow', unsubscribe: UNSUBSCRIBE.byServer } },
    { id: 1, error: ERROR.permissionDenied }
  ])
})

t.test('with a token of its own', async (t) => {
  const exp = now() + 100
  const claims: Record<string, object> = {
    good: { sub: 'ada', channel: 'secret', exp, info: 'from the token' },
    forever: { sub: 'ada', channel: 'secret' },
    'of another user': { sub: 'eve', channel: 'secret', exp },
    'of another channel': { sub: 'ada', channel: 'open', exp },
    'of no channel': { sub: 'ada', exp }
  }
  const rig = await sessionRig(t, {
    verify: (token) => {
      if (token === 'expired' || token === 'invalid' || token === 'unavailable') return { fault: token }
      return { claims: claims[token] as never }
    }
  })
  const seen: unknown[] = []
  rig.channel('secret', { token: true, onSubscribe: ({ claims }) => void seen.push(claims) })
  const refusals: [token: string, error: object][] = [
    ['', ERROR.permissionDenied],
    ['invalid', ERROR.permissionDenied],
    ['expired', ERROR.tokenExpired],
    ['unavailable', ERROR.internal],
    ['of another user', ERROR.permissionDenied],
    ['of another channel', ERROR.permissionDenied],
    ['of no channel', ERROR.permissionDenied]
  ]
  const client = await rig.client()
  for (const [token, error] of refusals) t.same(await subscribe(client, 'secret', { token }), { error }, token)
  t.same(seen, [], 'the hook is not asked')
  t.same(client.session.channels, [])
  t.match(await subscribe(client, 'secret', { token: 'good' }), { subscribe: { expires: true, ttl: /^(89|90)$/ } })
  t.same(seen, [claims.good])
  t.match(JSON.parse(`${client.session.subscriptions.get('secret')?.info}`), { chan_info: 'from the token' })
  for (const [token, error] of refusals) {
    const again = token === 'expired' ? { ...error, temporary: true } : error
    t.same(await refresh(client, 'secret', token), { error: token === '' ? ERROR.badRequest : again }, token)
  }
  t.match(await refresh(client, 'secret', 'good'), { sub_refresh: { expires: true } }, 'without a hook for it')
  t.same(await refresh(client, 'secret', 'forever'), { sub_refresh: {} })
  await pass(rig, 1_000)
  t.same(client.session.channels, ['secret'])
})

t.test('a token that expires while it is looked at is as one that has', async (t) => {
  const rig = await sessionRig(t, {
    verify: (token) => ({ claims: { sub: 'ada', channel: 'secret', exp: now() + (token === 'good' ? 100 : -1) } })
  })
  rig.channel('secret', { token: true })
  const client = await rig.client()
  // 110 would be the end for the published client, which asks for another token after 109.
  t.same(await subscribe(client, 'secret', { token: 'late' }), { error: ERROR.tokenExpired })
  t.match(await subscribe(client, 'secret', { token: 'good' }), { subscribe: { expires: true } })
  t.same(await refresh(client, 'secret', 'late'), { error: { ...ERROR.tokenExpired, temporary: true } })
  t.same(client.session.channels, ['secret'])
})

t.test('without onRefresh a subscriber may ask, and its end stays', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('short', { onSubscribe: () => ({ expiresAt: now() + 20.5 }) })
  const client = await rig.client()
  await subscribe(client, 'short')
  t.same(await refresh(client, 'short', ''), { sub_refresh: { expires: true, ttl: 18 } })
  await pass(rig, 21)
  t.same(client.session.channels, [])
})

t.test('what the hook grants goes before what the token says', async (t) => {
  const exp = now() + 100
  const rig = await sessionRig(t, { verify: () => ({ claims: { sub: 'ada', channel: 'secret', exp, info: 'token' } }) })
  rig.channel('secret', { token: true, onSubscribe: () => ({ expiresAt: now() + 20.5, info: 'hook' }) })
  const client = await rig.client()
  t.same(await subscribe(client, 'secret', { token: 'x' }), { subscribe: { expires: true, ttl: 18 } })
  t.match(JSON.parse(`${client.session.subscriptions.get('secret')?.info}`), { chan_info: 'hook' })
})

t.test('recover or nothing, for who asks to recover', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('kept', { history: true })
  const { epoch } = await rig.publish('kept', 1, 2)
  const client = await rig.client()
  const strict = { recover: true, flag: 2 }
  t.same(await subscribe(client, 'kept', { ...strict, epoch: 'other', offset: 1 }), {
    error: ERROR.unrecoverablePosition
  })
  t.match(await subscribe(client, 'kept', { ...strict, epoch, offset: 1 }), { subscribe: { recovered: true } })
  const fresh = await rig.client()
  t.match(await subscribe(fresh, 'kept', { flag: 2 }), { subscribe: { offset: 2 } }, 'who wants nothing gets no error')
})
