import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import { PAUSE_REASON } from '../../lib/connection/reading.ts'
import { ERROR, forbidden } from '../../lib/protocol/channel-errors.ts'
import { DISCONNECT, UNSUBSCRIBE } from '../../lib/protocol/disconnect-codes.ts'
import { pending } from '../support/pending.ts'
import { ADA, type Client, quiet, sessionRig } from './session-rig.ts'

/* What happens to a connection beside what it asks for. What it asks for: test/session/commands. */

/** A command of so many characters. */
const large = (id: number, length: number) => ({ id, rpc: { method: 'none', data: 'x'.repeat(length) } })

t.test('what is none of the protocol ends the connection', async (t) => {
  const rig = await sessionRig(t)
  const ends: [title: string, say: (client: Client) => void, end: object][] = [
    [
      'a binary message',
      ({ session }) => session.receive(Buffer.from('{"id":1,"ping":{}}'), true),
      DISCONNECT.inappropriateProtocol
    ],
    ['an empty one', (client) => client.say(''), DISCONNECT.badRequest],
    [
      'a line that is none',
      (client) => client.say({ id: 1, ping: {} }, 'no', { id: 2, ping: {} }),
      DISCONNECT.badRequest
    ],
    ['connecting twice', (client) => client.say({ id: 1, connect: {} }), DISCONNECT.badRequest]
  ]
  for (const [title, say, end] of ends) {
    const client = await rig.client()
    say(client)
    await quiet()
    t.same(client.closed, end, title)
    client.say({ id: 3, ping: {} })
    t.notOk(
      (await client.heard()).some(({ id }) => (id as number) > 1),
      'nothing that comes after it is done'
    )
  }
})

t.test('before connect nothing else may be said', async (t) => {
  const rig = await sessionRig(t)
  for (const command of [{ id: 1, ping: {} }, { send: {} }, {}]) {
    const client = await rig.client({ connect: false })
    client.say(command)
    t.same(client.closed, DISCONNECT.badRequest)
  }
})

t.test('too many commands are answered with 111, but for those that are answered with nothing', async (t) => {
  const rig = await sessionRig(t, { hooks: { onMessage: () => t.fail('a message was handed over') as never } })
  const client = await rig.client()
  client.connection.intake.takeCommand = () => false
  client.say({ id: 1, ping: {} }, { send: {} }, '{"id":2,"send":{"data":{"__proto__":1}}}', {})
  t.same(await client.heard(), [
    { id: 1, error: ERROR.tooManyRequests },
    { id: 2, error: ERROR.tooManyRequests }
  ])
  t.same(client.connection.calls.at(-1), ['pingAnswered'], 'an answer to a ping is no command')
})

t.test('a payload that nothing may be done with is refused; who begins with one has not connected', async (t) => {
  const rig = await sessionRig(t)
  const odd = (id: number) => `{"id":${id},"rpc":{"method":"a","data":{"__proto__":1}}}`
  const [known, fresh] = [await rig.client(), await rig.client({ connect: false })]
  known.say(odd(1), odd(2))
  t.same(await known.heard(), [
    { id: 1, error: ERROR.badRequest },
    { id: 2, error: ERROR.badRequest }
  ])
  fresh.say(odd(1), odd(2))
  t.same(await fresh.heard(), [{ id: 1, error: ERROR.badRequest }])
  rig.clock.advance(9_000)
  t.equal(fresh.closed, undefined, 'it may hang up itself')
  rig.clock.advance(1_100)
  t.same(fresh.closed, DISCONNECT.stale)
})

t.test('a large line past the rate is answered by its id, and not read', async (t) => {
  const rig = await sessionRig(t)
  const client = await rig.client()
  client.connection.intake.takeCommand = () => false
  const data = '['.repeat(5_000)
  const unreadable = [`{"id":1,"publish":{"data":${data}`, `${data},"id":2}`, `${data},"id":3} `, data]
  client.say(...unreadable)
  t.same(await client.heard(), [
    { id: 1, error: ERROR.tooManyRequests },
    { id: 2, error: ERROR.tooManyRequests }
  ])
  t.equal(client.closed, undefined)
  client.connection.intake.takeCommand = () => true
  client.say(data)
  t.same(client.closed, DISCONNECT.badRequest)
})

t.test('a line takes one token, large or small, and is charged for its bytes', async (t) => {
  const rig = await sessionRig(t)
  rig.methods.set('take', { handler: () => true })
  const client = await rig.client()
  const taken: number[] = []
  client.connection.intake.takeCommand = (bytes) => taken.push(bytes) > 0
  const small = '{"id":1,"rpc":{"method":"take","data":"ä"}}'
  const large = `{"id":2,"rpc":{"method":"take","data":"${'x'.repeat(5_000)}"}}`
  client.say(small, large)
  t.same(await client.heard(), [
    { id: 1, rpc: { data: true } },
    { id: 2, rpc: { data: true } }
  ])
  t.same(taken, [small.length + 1, large.length])
})

t.test('a frame has so many lines, and some more for who may have many subscriptions', async (t) => {
  const rig = await sessionRig(t, { maxSubscriptions: 24 })
  const client = await rig.client()
  client.say(...Array.from({ length: 1_024 }, () => ({})))
  t.equal(client.closed, undefined)
  client.say(...Array.from({ length: 1_025 }, () => ({})))
  t.same(client.closed, DISCONNECT.badRequest)
})

t.test('a server that was busy hears first what came meanwhile', async (t) => {
  const rig = await sessionRig(t)
  const [good, silent] = [await rig.client({ connect: false }), await rig.client({ connect: false })]
  rig.clock.stall(30_000)
  t.equal(good.closed, undefined)
  good.say({ id: 1, connect: {} })
  await quiet()
  rig.clock.advance(2_000)
  t.equal(good.closed, undefined)
  t.same(silent.closed, DISCONNECT.stale)
})

t.test('an application that takes its time over who connects has the time of its hooks', async (t) => {
  const decided = pending()
  const rig = await sessionRig(t, { hooks: { onConnect: () => decided.promise } })
  const client = await rig.client({ connect: false })
  client.say({ id: 1, connect: {} })
  await quiet()
  for (let seconds = 0; seconds < 20; seconds++) rig.clock.advance(1_000)
  t.equal(client.closed, undefined)
  decided.resolve()
  t.match(await client.heard(), [{ id: 1, connect: {} }])
})

t.test('whatever a hook throws, the command is answered and the next one too', async (t) => {
  const rig = await sessionRig(t)
  const odd = () => {
    throw {
      get code() {
        throw new Error('no')
      }
    }
  }
  rig.channel('odd', { onSubscribe: odd, onUnsubscribe: odd })
  const client = await rig.client()
  for (let tries = 0; tries < 2; tries++) {
    t.same(await client.call({ subscribe: { channel: 'odd' } }), { error: ERROR.internal })
  }
  t.match(rig.logs, [
    [{ err: { message: /cannot be read/ } }, 'channel command failed'],
    [{ err: { message: /cannot be read/ } }, 'channel command failed']
  ])
})

t.test('replies of one turn leave in one message, large ones in several', async (t) => {
  const rig = await sessionRig(t)
  rig.methods.set('much', { handler: () => 'x'.repeat(9_000) })
  const client = await rig.client()
  client.frames.length = 0
  client.say({ id: 1, ping: {} }, { id: 2, ping: {} })
  await quiet()
  t.same(client.frames.splice(0), ['{"id":1,"ping":{}}\n{"id":2,"ping":{}}'])
  client.say(...[1, 2, 3].map((id) => ({ id, rpc: { method: 'much' } })))
  await quiet()
  t.same(
    client.frames.map((frame) => frame.split('\n').length),
    [2, 1]
  )
  client.frames.length = 0
  client.say({ id: 4, ping: {} }, { id: 5, ping: {} })
  await quiet()
  t.equal(client.frames.length, 1, 'and small ones together again')
})

t.test('what is pushed stands behind the replies before it', async (t) => {
  const rig = await sessionRig(t)
  const client = await rig.client()
  client.frames.length = 0
  client.session.reply({ id: 1, name: 'ping' }, '{}')
  client.session.push('{"push":{}}')
  await quiet()
  t.same(client.frames, ['{"id":1,"ping":{}}', '{"push":{}}'])
})

t.test('commands that wait hold up the socket until half of them are done', async (t) => {
  const rig = await sessionRig(t, { limits: { maxQueue: 4 }, maxCalls: 1 })
  const answers = Array.from({ length: 5 }, () => pending())
  let asked = 0
  rig.methods.set('wait', { handler: () => answers[asked++]?.promise })
  const client = await rig.client()
  client.connection.calls.length = 0
  for (let id = 1; id <= 3; id++) client.say({ id, rpc: { method: 'wait' } })
  t.same(client.connection.calls, [])
  for (let id = 4; id <= 5; id++) client.say({ id, rpc: { method: 'wait' } })
  t.same(client.connection.calls, [['pause', PAUSE_REASON.inbox]])
  for (const answer of answers.slice(0, 2)) {
    answer.resolve()
    await quiet()
  }
  t.same(client.connection.calls, [['pause', PAUSE_REASON.inbox]])
  answers[2]?.resolve()
  await quiet()
  t.same(client.connection.calls, [
    ['pause', PAUSE_REASON.inbox],
    ['resume', PAUSE_REASON.inbox]
  ])
})

t.test('case 139: nobody needs more than 64 KiB to be known', async (t) => {
  const rig = await sessionRig(t, { verify: () => verdict.promise as never })
  const verdict = pending<object>()
  const connect = '{"id":1,"connect":{"token":"x"}}'
  const [modest, greedy] = [
    await rig.client({ user: null, connect: false }),
    await rig.client({ user: null, connect: false })
  ]
  for (const client of [modest, greedy]) {
    client.say(connect)
    client.say(large(2, 65_536 - connect.length - JSON.stringify(large(2, 0)).length))
    t.equal(client.closed, undefined)
  }
  greedy.say('{}')
  t.same(greedy.closed, DISCONNECT.badRequest)
  t.same(greedy.connection.calls, [['cutOff']])
  verdict.resolve({ claims: ADA })
  t.match(await modest.heard(), [{ id: 1, connect: {} }, { id: 2 }])
  t.equal(modest.connection.allowance, undefined)
  modest.say(large(3, 70_000))
  t.equal(modest.closed, undefined, 'once it is known it may send what others may')
})

t.test('case 139: a message is not parsed past that, nor waited for to its end', async (t) => {
  const rig = await sessionRig(t)
  const [whole, half] = [await rig.client({ connect: false }), await rig.client({ connect: false })]
  // Not even JSON: it would be malformed.
  whole.session.receive(Buffer.alloc(65_537, '{'), false)
  t.same(whole.connection.calls, [['cutOff']])
  t.equal(half.connection.allowance?.bytes, 65_536 + 4_096)
  half.connection.allowance?.exceeded()
  for (const client of [whole, half]) t.same(client.closed, DISCONNECT.badRequest)
})

t.test('case 139: who was refused may not send more either', async (t) => {
  const rig = await sessionRig(t, { verify: () => ({ fault: 'expired' }) })
  const client = await rig.client({ user: null, connect: false })
  client.say({ id: 1, connect: { token: 'x' } }, large(2, 60_000))
  t.same(await client.heard(), [{ id: 1, error: ERROR.tokenExpired }])
  t.not(client.connection.allowance, undefined)
})

t.test('pings are the protocol’s own once it is connected', async (t) => {
  const rig = await sessionRig(t)
  const client = await rig.client({ connect: false })
  t.equal(client.session.ping(), false)
  await client.call({ connect: {} })
  t.equal(client.session.ping(), true)
  t.same(await client.heard(), [{}])
  client.say({})
  t.same(client.connection.calls.at(-1), ['pingAnswered'])
})

t.test('the server ends a subscription', async (t) => {
  const rig = await sessionRig(t)
  const ended: unknown[] = []
  rig.channel('a/:id', {
    history: true,
    presenceTtl: 30_000,
    onSubscribe: () => ({ expiresAt: Date.now() / 1000 + 3_600 }),
    onUnsubscribe: ({ code, reason, user, params }) => ended.push([params.id, code, reason, user?.sub])
  })
  const client = await rig.client()
  for (const channel of ['a/1', 'a/2', 'a/3']) await client.call({ subscribe: { channel } })
  const subscription = client.session.subscriptions.get('a/1')
  client.session.unsubscribe('a/1')
  subscription?.drop(UNSUBSCRIBE.byServer)
  client.session.unsubscribe('a/none')
  t.same(await client.heard(), [{ push: { channel: 'a/1', unsubscribe: UNSUBSCRIBE.byServer } }])
  await client.call({ unsubscribe: { channel: 'a/2' } })
  t.same(client.session.channels, ['a/3'])
  await rig.publish('a/1', 1)
  t.same(await client.heard(), [])
  client.end()
  await quiet()
  t.same(ended, [
    ['1', 2000, 'server unsubscribe', 'ada'],
    ['2', 0, 'client unsubscribed', 'ada'],
    ['3', 1, 'disconnect', 'ada']
  ])
  for (const id of [1, 2, 3]) t.same(await rig.broker.presence(`a/${id}`), [])
  const early = await rig.client({ connect: false })
  early.end()
  rig.clock.advance(5_000)
  t.equal(rig.wheel.size, 0, 'and nothing is waited for any more')
})

t.test('hooks that nobody waits for may fail', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('sync', {
    onUnsubscribe: () => {
      throw new Error('sync')
    }
  })
  rig.channel('async', { onUnsubscribe: () => Promise.reject(new Error('async')) })
  const client = await rig.client()
  for (const channel of ['sync', 'async']) {
    await client.call({ subscribe: { channel } })
    t.same(await client.call({ unsubscribe: { channel } }), { unsubscribe: {} })
  }
  t.match(rig.logs, [
    [{ hook: 'onUnsubscribe', connection: 'c1', err: { message: 'sync' } }, 'channel hook failed'],
    [{ hook: 'onUnsubscribe', connection: 'c1', err: { message: 'async' } }, 'channel hook failed']
  ])
})

t.test('what is lost for good ends the subscription, or the connection that would not come back for it', async (t) => {
  const rig = await sessionRig(t, {
    hooks: { onConnect: ({ data }) => ({ subscriptions: data === 1 ? ['kept'] : [] }) }
  })
  rig.channel('kept', { history: true })
  const client = await rig.client()
  const byServer = await rig.client({ connect: { data: 1 } })
  await client.call({ subscribe: { channel: 'kept' } })
  await rig.publish('kept', 1)
  await client.heard()
  // Behind everybody's back.
  await rig.broker.removeHistory('kept')
  rig.hub.audit(['kept'])
  t.same(await client.heard(), [{ push: { channel: 'kept', unsubscribe: UNSUBSCRIBE.insufficientState } }])
  t.same(byServer.closed, DISCONNECT.insufficientState)
  client.session.insufficientState('kept')
  t.same(await client.heard(), [], 'once')
  t.match(await client.call({ subscribe: { channel: 'kept', recover: true, offset: 1, epoch: 'before' } }), {
    subscribe: { was_recovering: true, recovered: undefined }
  })
})

t.test('a reader that was slow is given what it missed, or told how much that was', async (t) => {
  const rig = await sessionRig(t, { limits: { buffered: { soft: 1_000, hard: 1_000_000 } } })
  rig.channel('kept', { history: true })
  rig.channel('lossy')
  for (const channel of ['kept', 'lossy']) {
    const client = await rig.client()
    await client.call({ subscribe: { channel } })
    await client.heard()
    client.connection.slow = true
    for (let n = 1; n <= 10; n++) {
      await rig.publish(channel, { n, text: 'x'.repeat(500) })
      await nextTurn()
    }
    client.connection.read()
    const lines = (await client.heard()) as { push: { pub?: { data: { n: number } }; message?: object } }[]
    const seen = lines.flatMap(({ push }) => push.pub?.data.n ?? [])
    if (channel === 'kept') t.same(seen, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    else {
      const { dropped } = client.connection.outbox
      t.equal(seen.length + dropped, 10)
      t.same(
        lines.find(({ push }) => push.message !== undefined),
        { push: { message: { data: { notice: { code: 'lagging', dropped } } } } }
      )
    }
  }
})

t.test('the drain finishes what was begun, and begins nothing', async (t) => {
  const rig = await sessionRig(t)
  const answer = pending()
  const calls: unknown[] = []
  rig.methods.set('wait', {
    handler: async ({ data }) => {
      calls.push(data)
      await answer.promise
      return data
    }
  })
  const [busy, idle] = [await rig.client(), await rig.client()]
  t.equal(idle.session.drain(), undefined, 'there is nothing to wait for')
  busy.say({ id: 1, rpc: { method: 'wait', data: 1 } })
  let isDone = false
  const drained = busy.session.drain()?.then(() => {
    isDone = true
  })
  busy.say({ id: 2, rpc: { method: 'wait', data: 2 } })
  busy.session.subscribe('a')
  t.same(await busy.heard(), [])
  t.equal(isDone, false)
  answer.resolve()
  await drained
  t.same(await busy.heard(), [{ id: 1, rpc: { data: 1 } }])
  t.same(calls, [1])
})

t.test('what fails when nobody waits for it any more is logged, where nobody foresaw it', async (t) => {
  const answers = [pending(), pending()]
  let asked = 0
  const rig = await sessionRig(t, { hooks: { onMessage: () => answers[asked++]?.promise } })
  const clients = [await rig.client(), await rig.client()]
  for (const client of clients) client.say({ id: 5, send: {} })
  await quiet()
  for (const client of clients) client.end()
  answers[0]?.reject(new Error('late'))
  answers[1]?.reject(forbidden())
  for (const client of clients) t.same(await client.heard(), [])
  t.match(rig.logs, [[{ command: 'send', err: { message: 'late' } }, 'channel command failed']])
  t.equal(rig.logs.length, 1)
})

t.test('what waits when the connection ends is never begun', async (t) => {
  const rig = await sessionRig(t, { maxCalls: 1 })
  const answer = pending()
  let calls = 0
  rig.methods.set('wait', {
    handler: () => {
      calls++
      return answer.promise
    }
  })
  const client = await rig.client()
  client.say({ id: 1, rpc: { method: 'wait' } }, { id: 2, rpc: { method: 'wait' } })
  await quiet()
  client.end()
  answer.resolve()
  t.same(await client.heard(), [])
  t.equal(calls, 1)
})

t.test('nor is anything while the connection is closing', async (t) => {
  const rig = await sessionRig(t)
  rig.methods.set('late', { handler: () => t.fail('it was called') })
  const client = await rig.client()
  // As when the application disconnects it: its session is told once the peer has answered.
  client.connection.close(4000, '')
  client.say({ id: 1, rpc: { method: 'late' } })
  t.same(await client.heard(), [])
})
