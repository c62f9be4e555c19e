import t from 'tap'
import type { Publication } from '../../lib/broker/broker.ts'
import { Registry } from '../../lib/connection/registry.ts'
import { CONTROL_CHANNEL, Control, type ControlOptions } from '../../lib/node/control.ts'
import { writeControlMessage } from '../../lib/node/control-message.ts'
import { TimerWheel } from '../../lib/timing/timer-wheel.ts'
import { FakeClock, FaultyBroker, makeRig } from '../hub/rig.ts'
import { sessionRig } from '../session/session-rig.ts'
import { FakeConnection } from '../support/fake-connection.ts'
import { idle } from '../support/idle.ts'

/** A socket as far as control goes. Its handshake came in at that time. */
function makeSocket(id: string, sub: string, begunAt = 0) {
  const did: unknown[] = []
  const socket = new FakeConnection({ id, user: { sub }, begunAt })
  socket.closeWith = ({ code, reason }) => did.push(['close', code, reason])
  socket.extend = (at) => did.push(['extend', Math.round(at)])
  return { did, socket }
}

const codes = (did: readonly unknown[]) => did.map((deed) => (deed as unknown[])[1])

/** Nodes on one broker; its clock and theirs are one, which stands still unless told. */
async function makeNodes(t: { teardown(fn: () => unknown): void }) {
  const clock = new FakeClock(1_000_000)
  const brokerClock = { ahead: 0, now: () => clock.now() + brokerClock.ahead }
  const broker = new FaultyBroker({ clock: brokerClock })
  const nodes: Control[] = []
  const lost = { by: -1 }
  await broker.start({
    publication: (channel, publication: Publication) => {
      if (channel !== CONTROL_CHANNEL) return
      for (const [i, node] of nodes.entries()) if (i !== lost.by) node.receive(publication)
    },
    presence() {},
    dropped() {},
    state() {},
    audit() {}
  })
  t.teardown(() => broker.close())
  const failures: string[] = []
  const told: string[] = []
  const losses: Date[] = []
  const dismissals: unknown[] = []
  const changes: Parameters<ControlOptions['handshakes']['change']>[] = []
  /** When the latest handshake began. */
  const latest = { at: Number.NEGATIVE_INFINITY }
  const { hub } = await makeRig(t)
  const make = async (...sockets: FakeConnection[]) => {
    const registry = new Registry()
    for (const socket of sockets) registry.add(socket)
    const control = new Control({
      broker,
      hub,
      registry,
      wheel: new TimerWheel(clock, 50),
      failed: (stage) => failures.push(stage),
      dropped: () => told.push('dropped'),
      receiving: (error) => told.push(error === undefined ? 'receiving' : 'not receiving'),
      missed: (since) => losses.push(since),
      handshakes: {
        get latest() {
          return latest.at
        },
        dismiss: (...dismissal) => dismissals.push(dismissal),
        change: (...change) => changes.push(change)
      }
    })
    await control.audit()
    nodes.push(control)
    return control
  }
  return { broker, brokerClock, clock, make, failures, told, losses, dismissals, changes, latest, lost, nodes }
}

t.test('C55: a user is disconnected on every node, this one at once', async (t) => {
  const { make } = await makeNodes(t)
  const [here, there, other] = [makeSocket('1', 'u'), makeSocket('2', 'u'), makeSocket('3', 'someone else')]
  const node = await make(here.socket, other.socket)
  await make(there.socket)
  const disconnecting = node.disconnect({ user: 'u' }, { code: 4401, reason: 'signed out' })
  t.strictSame(here.did, [['close', 4401, 'signed out']])
  await disconnecting
  t.strictSame(there.did, [['close', 4401, 'signed out']])
  t.strictSame(here.did.length, 1)
  t.strictSame(other.did, [])
})

t.test('one connection, its default code, and a token that was renewed', async (t) => {
  const { make } = await makeNodes(t)
  const { socket, did } = makeSocket('1', 'u')
  await make(socket)
  const node = await make()
  await node.disconnect({ connection: '1' }, {})
  await node.disconnect({ connection: '1', user: 'another' }, {})
  await node.disconnect({ connection: '1' }, { code: 4000 })
  t.strictSame(did, [
    ['close', 4403, 'forbidden'],
    ['close', 4000, '']
  ])
  await node.refresh({ connection: '1' }, Math.floor(Date.now() / 1000) + 100)
  const [, at] = did[2] as [string, number]
  t.ok(at > 1_098_000 && at <= 1_100_000)
})

t.test('case 119: handshakes of a user that are under way end on every node', async (t) => {
  const { make, dismissals, latest, clock } = await makeNodes(t)
  const [here, there] = [await make(), await make()]
  const confirmed = clock.now()
  clock.advance(5_000)
  const request = { do: 'disconnect', code: 4000, reason: 'signed out' }
  await here.disconnect({ user: 'u' }, request)
  t.match(dismissals.splice(0), [
    ['u', request, Number.POSITIVE_INFINITY],
    ['u', request, confirmed]
  ])
  t.equal(there.reading, undefined, 'no handshake has begun since the other node had read all')
  latest.at = clock.now()
  await here.disconnect({ user: 'u' }, request)
  await there.reading
  t.match(
    dismissals.splice(0).map((dismissal) => (dismissal as unknown[])[2]),
    [Number.POSITIVE_INFINITY, clock.now()],
    'else it asks when the request was made'
  )
  await here.disconnect({ connection: '1' }, request)
  await here.refresh({ user: 'u', connection: '1' }, 1)
  await here.unsubscribe({ user: 'u' }, 'news')
  t.strictSame(dismissals, [], 'nothing else ends them')
})

t.test('case 153: what else is asked for a user concerns handshakes that are under way on every node', async (t) => {
  const { make, changes, latest, clock, failures } = await makeNodes(t)
  const sockets = [makeSocket('1', 'u'), makeSocket('2', 'someone else')]
  const here = await make()
  const there = await make(...sockets.map(({ socket }) => socket))
  clock.advance(5_000)
  latest.at = clock.now()
  const expiresAt = Math.floor(Date.now() / 1000) + 100
  await here.refresh({ user: 'u' }, expiresAt)
  await there.reading
  const kinds = () => changes.splice(0).map(([user, kind, , madeAt]) => [user, kind, madeAt])
  const [, noted] = changes.splice(0)
  const [user, kind, apply, madeAt] = noted as NonNullable<typeof noted>
  t.strictSame([user, kind, madeAt], ['u', 'refresh', clock.now()], 'and asked when it was made')
  const [mine, other] = sockets.map(({ did }) => did)
  t.equal(mine?.splice(0).length, 1, 'what was open before has been extended')
  for (const id of ['1', '2', 'gone']) apply(id)
  t.match(mine, [['extend', Number]], 'as is the one that has opened')
  t.strictSame(other, [], 'which is that user’s')
  await here.subscribe({ user: 'u' }, 'news')
  await here.unsubscribe({ user: 'u' }, 'news')
  await there.reading
  t.strictSame(
    new Set(kinds().map(([user, kind]) => `${user} ${kind}`)),
    new Set(['u channel news']),
    'the end of a subscription and its beginning are of one kind'
  )
  t.strictSame(failures, [])
})

t.test('C72: a subscription ends on every node', async (t) => {
  const { make } = await makeNodes(t)
  const rig = await makeRig(t)
  const reader = rig.reader(undefined, { user: { sub: 'u' } })
  reader.unsubscribe = (channel) => rig.hub.unsubscribe(reader, channel)
  await rig.subscribe(reader, 'news')
  const registry = new Registry()
  registry.add(reader)
  const wheel = new TimerWheel(new FakeClock(), 50)
  const broker = new FaultyBroker()
  await broker.start({ publication() {}, presence() {}, dropped() {}, state() {}, audit() {} })
  t.teardown(() => broker.close())
  await make()
  const options = {
    broker,
    hub: rig.hub,
    registry,
    wheel,
    failed() {},
    dropped() {},
    receiving() {},
    missed() {},
    handshakes: { latest: 0, dismiss() {}, change() {} }
  }
  await new Control(options).unsubscribe({ user: 'u' }, 'news')
  await rig.publish('news', 1)
  await rig.written()
  t.strictSame(reader.messages, [])
})

t.test('all members of a channel, or those of them who are a user, are asked on every node', async (t) => {
  const { make, dismissals } = await makeNodes(t)
  const rig = await sessionRig(t)
  for (const name of ['news', 'sport']) rig.channel(name)
  const [ada, bob] = [await rig.client(), await rig.client({ user: { sub: 'bob' } })]
  for (const client of [ada, bob]) await client.call({ subscribe: { channel: 'news' } })
  await bob.call({ subscribe: { channel: 'sport' } })
  const [first, second] = [makeSocket('1', 'ada'), makeSocket('2', 'bob')]
  Object.assign(first.socket, { session: ada.session })
  Object.assign(second.socket, { session: bob.session })
  const outsider = makeSocket('3', 'ada')
  const here = await make()
  await make(first.socket, second.socket, outsider.socket)

  await here.disconnect({ channel: 'news', user: 'ada' }, { code: 4001 })
  t.same([first.did, second.did, outsider.did], [[['close', 4001, '']], [], []])
  t.same(dismissals, [], 'a handshake is no member')
  await here.disconnect({ channel: 'sport' }, { code: 4002, reason: 'over' })
  t.same([first.did.length, second.did, outsider.did], [1, [['close', 4002, 'over']], []])
  await here.disconnect({ channel: 'weather' }, {})
  t.same([first.did.length, second.did.length], [1, 1], 'nobody is on it')

  const end = (channel: string) => ({ push: { channel, unsubscribe: { code: 2000 } } })
  await here.unsubscribe({ channel: 'sport' }, 'news')
  t.same(await ada.heard(), [])
  t.match(await bob.heard(), [end('news')], 'of the members of one the subscriptions to another')
  await here.unsubscribe({ channel: 'sport' }, 'sport')
  t.match(await bob.heard(), [end('sport')])
  t.same([ada.session.channels, bob.session.channels], [['news'], []])
})

t.test('case 156: a subscription that was just asked for is a member’s', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('news')
  const client = await rig.client()
  client.session.subscribe('news')
  t.ok(client.session.isOn('news'))
  t.notOk(client.session.isOn('sport'))
})

t.test('clients of channels are asked on every node; other sockets have nothing to be subscribed by', async (t) => {
  const { make } = await makeNodes(t)
  const rig = await sessionRig(t)
  rig.channel('news')
  const client = await rig.client()
  const there = makeSocket('1', 'u')
  Object.assign(there.socket, { session: client.session })
  const plain = makeSocket('2', 'u')
  await make(there.socket, plain.socket)
  const here = await make()
  await here.subscribe({ user: 'u' }, 'news')
  t.match(await client.heard(), [{ push: { channel: 'news', subscribe: {} } }])
  await here.unsubscribe({ user: 'u' }, 'news')
  t.match(await client.heard(), [{ push: { channel: 'news', unsubscribe: { code: 2000 } } }])
  await here.refresh({ user: 'u' }, Math.floor(Date.now() / 1000) + 100)
  t.match(await client.heard(), [{ push: { refresh: { expires: true } } }])
  t.match(
    [...there.did, ...plain.did],
    [
      ['extend', Number],
      ['extend', Number]
    ]
  )
})

t.test('a node that missed a request obeys it later, for those who were there', async (t) => {
  const { make, lost, nodes } = await makeNodes(t)
  const before = makeSocket('1', 'u')
  const sender = await make()
  const deaf = await make(before.socket)
  lost.by = 1
  await sender.disconnect({ user: 'u' }, { code: 4401 })
  t.strictSame(before.did, [])
  // Found by an audit.
  await deaf.audit()
  t.strictSame(before.did, [['close', 4401, '']])
  await deaf.audit()
  t.equal(before.did.length, 1)
  // Found by the gap before the next one.
  await sender.disconnect({ user: 'u' }, { code: 4001 })
  lost.by = -1
  await sender.disconnect({ user: 'u' }, { code: 4002 })
  await deaf.reading
  t.strictSame(codes(before.did), [4401, 4001, 4002])
  t.equal(nodes.length, 2)
})

t.test(
  'case 153: a late request is for those that had begun when it was made, whatever the nodes’ clocks say',
  async (t) => {
    const { make, lost, clock } = await makeNodes(t)
    const { now } = Date
    t.teardown(() => {
      Date.now = now
    })
    const old = makeSocket('1', 'u', clock.now() - 60_000)
    // Its handshake began before the request, and was done after it.
    const inHandshake = makeSocket('2', 'u', clock.now() + 7_999)
    const fresh = makeSocket('3', 'u', clock.now() + 8_001)
    const sender = await make()
    const deaf = await make(old.socket, inHandshake.socket, fresh.socket)
    lost.by = 1
    clock.advance(8_000)
    Date.now = () => now() + 300_000
    await sender.disconnect({ user: 'u' }, { code: 4401 })
    Date.now = () => now() - 300_000
    clock.advance(7_000)
    await deaf.audit()
    t.strictSame([old.did.length, inHandshake.did.length, fresh.did.length], [1, 1, 0])
  }
)

t.test('case 153: a message that was long on its way is not for those that have begun meanwhile', async (t) => {
  const { make, clock, broker } = await makeNodes(t)
  const sender = await make()
  const [old, fresh] = [makeSocket('1', 'u', clock.now()), makeSocket('2', 'u', clock.now() + 8_001)]
  const node = await make(old.socket, fresh.socket)
  const { receive } = node
  const late: Publication[] = []
  node.receive = (publication) => void late.push(publication)
  clock.advance(8_000)
  await sender.disconnect({ user: 'u' }, { code: 4401 })
  clock.advance(7_000)
  broker.calls.length = 0
  receive.call(node, late[0] as Publication)
  await node.reading
  t.strictSame([old.did.length, fresh.did.length], [1, 0])
  t.same(broker.calls, ['history 0'], 'the broker was asked how old it is')
})

t.test('case 153: a request for connections that are old enough is obeyed without a question', async (t) => {
  const { make, broker, clock } = await makeNodes(t)
  const { socket, did } = makeSocket('1', 'u', clock.now() - 1)
  const sender = await make()
  await make(socket)
  broker.calls.length = 0
  await sender.disconnect({ user: 'u' }, { code: 4401 })
  t.strictSame(codes(did), [4401])
  t.same(broker.calls, [])
})

t.test('case 153: the broker’s clock is set back, or forward, by an hour', async (t) => {
  for (const jump of [-3_600_000, 3_600_000]) {
    const { make, lost, clock, brokerClock } = await makeNodes(t)
    const old = makeSocket('1', 'u', clock.now())
    const sender = await make()
    const deaf = await make(old.socket)
    lost.by = 1
    clock.advance(5_000)
    await sender.disconnect({ user: 'u' }, { code: 4401 })
    brokerClock.ahead = jump
    // Its history is kept by the same clock: it would be over.
    if (jump > 0) brokerClock.ahead = jump / 2
    await deaf.audit()
    t.strictSame(codes(old.did), [4401], 'it had begun when the node was up to date')
  }
})

t.test('case 153: a broker that lost its data is said once, with since when', async (t) => {
  const { broker, make, lost, losses } = await makeNodes(t)
  const { socket, did } = makeSocket('1', 'u')
  const before = new Date()
  const sender = await make()
  const deaf = await make(socket)
  const after = new Date()
  for (let i = 0; i < 3; i++) await sender.disconnect({ user: 'nobody' }, {})
  await broker.removeHistory(CONTROL_CHANNEL)
  lost.by = 1
  await sender.disconnect({ user: 'u' }, { code: 4401 })
  await deaf.audit()
  t.strictSame(codes(did), [4401], 'what came since is obeyed')
  await sender.audit()
  await deaf.audit()
  t.equal(losses.length, 2, 'once for each node')
  t.ok(losses.every((since) => since >= before && since <= after))
})

t.test('case 153: requests that are not kept any more are said to be missing', async (t) => {
  const { broker, make, lost, losses, clock } = await makeNodes(t)
  const { socket, did } = makeSocket('1', 'u')
  const sender = await make()
  const deaf = await make(socket)
  await sender.disconnect({ user: 'nobody' }, {})
  lost.by = 1
  await sender.disconnect({ user: 'u' }, { code: 4001 })
  clock.advance(3_600_001)
  await sender.disconnect({ user: 'u' }, { code: 4002 })
  await deaf.audit()
  t.equal(losses.length, 1)
  t.strictSame(codes(did), [4002])
  t.ok(broker.calls.includes('history 1'))
})

t.test('many requests are read page by page', async (t) => {
  const { make, lost, broker, losses } = await makeNodes(t)
  const { socket, did } = makeSocket('1', 'u')
  const sender = await make()
  const deaf = await make(socket)
  lost.by = 1
  for (let n = 0; n < 2_500; n++) await sender.disconnect({ user: 'u' }, { code: 3_000 + (n % 1_000) })
  broker.calls.length = 0
  await deaf.audit()
  t.equal(did.length, 2_500)
  t.strictSame(broker.calls, ['history 0', 'history 1000', 'history 2000'])
  t.strictSame(losses, [])
})

t.test('the same request twice, and strangers on the channel, do no harm', async (t) => {
  const { broker, make, told, failures } = await makeNodes(t)
  const { socket, did } = makeSocket('1', 'u')
  const sender = await make()
  const node = await make(socket)
  await sender.disconnect({ user: 'u' }, {})
  const { publications, position } = await broker.history(CONTROL_CHANNEL, { limit: 1 })
  node.receive({ ...position, data: publications[0]?.data as Buffer })
  await node.reading
  t.equal(did.length, 1)
  told.length = 0
  const strange = ['{', 'null', '{"v":1}', '{"do":"receive"}']
  for (const text of strange) {
    await broker.publish(CONTROL_CHANNEL, Buffer.from(text), { history: { size: 10, ttl: 1000 } })
  }
  t.strictSame(told, Array(2 * strange.length).fill('dropped'), 'once for each node')
  await sender.disconnect({ user: 'u' }, { code: 4000 })
  t.strictSame(codes(did), [4403, 4000])
  t.strictSame(failures, [])
})

t.test('case 147: a channel that cannot be read is told, tried again, and obeyed once it can be', async (t) => {
  for (const fails of ['subscribe', 'history'] as const) {
    const { broker, told, make, clock } = await makeNodes(t)
    const { socket, did } = makeSocket('1', 'u', clock.now() - 1)
    const fine = { [fails]: broker[fails] }
    Object.assign(broker, { [fails]: () => Promise.reject(new Error('NOREPLICAS')) })
    const node = await make(socket)
    t.equal(node.receiving, false)
    t.strictSame(told, [], 'the broker may just be going away')
    node.receive({ offset: 1, epoch: 'x', data: Buffer.from('{}') })
    for (let tries = 1; tries <= 3; tries++) {
      clock.advance(1_100)
      await node.reading
      t.strictSame(told, ['not receiving'])
      t.equal(node.receiving, false)
    }
    const sender = await make()
    await sender.disconnect({ user: 'u' }, {}).catch(() => undefined)
    Object.assign(broker, fine)
    await sender.disconnect({ user: 'u' }, { code: 4001 })
    clock.advance(1_100)
    await node.reading
    t.ok(told.includes('receiving'))
    t.equal(node.receiving, true)
    t.equal(codes(did).at(-1), 4001, 'what was asked meanwhile is obeyed')
  }
})

t.test('case 147: a broker that is away is left alone, and nothing reaches the node meanwhile', async (t) => {
  const { broker, make, clock } = await makeNodes(t)
  const node = await make()
  t.equal(node.receiving, true)
  node.lost()
  t.equal(node.receiving, false)
  broker.away = true
  Object.defineProperty(broker, 'up', { get: () => !broker.away, configurable: true })
  await node.audit()
  broker.calls.length = 0
  clock.advance(10_000)
  t.strictSame(broker.calls, [])
  broker.away = false
  await node.audit()
  t.equal(node.receiving, true)
})

t.test('what comes while what was missed is read is read after it', async (t) => {
  const { broker, make, lost } = await makeNodes(t)
  const { socket, did } = makeSocket('1', 'u')
  const sender = await make()
  const node = await make(socket)
  const ask = (code: number) => sender.disconnect({ user: 'u' }, { code })
  lost.by = 1
  await ask(4001)
  broker.calls.length = 0
  const release = broker.holdHistory()
  const audits = [node.audit(), node.audit()]
  await idle()
  await ask(4002)
  lost.by = -1
  await ask(4003)
  release()
  await Promise.all(audits)
  t.strictSame(codes(did), [4001, 4002, 4003])
  t.equal(broker.calls.filter((call) => call.startsWith('history')).length, 2, 'and no more often')
})

t.test('what came in order meanwhile is not taken back', async (t) => {
  const { broker, make } = await makeNodes(t)
  const { socket, did } = makeSocket('1', 'u')
  const sender = await make()
  const node = await make(socket)
  const release = broker.holdHistory()
  const audit = node.audit()
  await idle()
  await sender.disconnect({ user: 'u' }, { code: 4001 })
  release()
  await audit
  await sender.disconnect({ user: 'u' }, { code: 4002 })
  t.strictSame(codes(did), [4001, 4002])
})

t.test('a new epoch makes nobody obey a second time, as far back as history goes', async (t) => {
  const { broker, make } = await makeNodes(t)
  const { socket, did } = makeSocket('1', 'u')
  const sender = await make()
  const node = await make(socket)
  for (let code = 4000; code < 4003; code++) await sender.disconnect({ user: 'u' }, { code })
  const { history } = broker
  // As a Redis that was restarted with all that it had written.
  let epoch = 'new'
  broker.history = async (...args) => {
    const page = await history.apply(broker, args)
    return { ...page, position: { ...page.position, epoch } }
  }
  await node.audit()
  t.equal(did.length, 3)
  const size = 10_000
  for (let n = 0; n < size; n++) {
    const request = { target: { user: 'nobody' }, do: 'unsubscribe', channel: 'news' } as const
    node.receive({ offset: 4 + n, epoch: 'new', data: writeControlMessage({ node: 'other', id: `${n}`, request }) })
  }
  epoch = 'newer'
  await node.audit()
  t.equal(did.length, 6, 'what is older than that is forgotten')
})

t.test('what can’t be done to one connection is done to the others', async (t) => {
  const { make, failures } = await makeNodes(t)
  const [odd, good] = [makeSocket('1', 'u'), makeSocket('2', 'u')]
  Object.assign(odd.socket, {
    closeWith() {
      throw new TypeError('a fault of ours')
    }
  })
  const sender = await make()
  await make(odd.socket, good.socket)
  await sender.disconnect({ user: 'u' }, { code: 4000 })
  t.equal(good.did.length, 1)
  t.strictSame(failures, ['control'])
})
