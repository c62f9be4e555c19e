import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import type { Publication } from '../../lib/broker/broker.ts'
import { CONTROL_CHANNEL, Control } from '../../lib/channels/control.ts'
import type { RealtimeSocket } from '../../lib/socket/realtime-socket.ts'
import { Registry } from '../../lib/socket/registry.ts'
import { TimerWheel } from '../../lib/socket/timer-wheel.ts'
import { pending } from '../support/pending.ts'
import { FakeClock, FaultyBroker, makeRig } from './rig.ts'
import { sessionRig } from './session-rig.ts'

/** A socket as far as control goes. */
function makeSocket(id: string, sub: string, age = 0) {
  const did: unknown[] = []
  const socket = {
    id,
    user: { sub },
    stats: { age },
    closeWith: ({ code, reason }: { code: number; reason: string }) => did.push(['close', code, reason]),
    extend: (at: number) => did.push(['extend', Math.round(at)])
  }
  return { did, socket: socket as unknown as RealtimeSocket }
}

async function makeNodes(t: { teardown(fn: () => unknown): void }) {
  const broker = new FaultyBroker()
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
  const { hub } = await makeRig(t)
  const make = async (...sockets: RealtimeSocket[]) => {
    const registry = new Registry()
    for (const socket of sockets) registry.add(socket)
    const wheel = new TimerWheel(new FakeClock(), 50)
    const control = new Control({ broker, hub, registry, wheel, failed: (stage) => failures.push(stage) })
    await control.listen()
    nodes.push(control)
    return control
  }
  return { broker, make, failures, lost, nodes }
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
  await node.disconnect({}, {})
  await node.disconnect({ connection: '1' }, { code: 4000 })
  t.strictSame(did, [
    ['close', 4403, 'forbidden'],
    ['close', 4000, '']
  ])
  await node.refresh({ connection: '1' }, Math.floor(Date.now() / 1000) + 100)
  const [, at] = did[2] as [string, number]
  t.ok(at > 98_000 && at <= 100_000)
})

t.test('C72: a subscription ends on every node', async (t) => {
  const { make } = await makeNodes(t)
  const rig = await makeRig(t)
  const reader = Object.assign(rig.reader(), { id: '1', user: { sub: 'u' }, stats: { age: 0 } })
  await rig.subscribe(reader, 'news')
  const registry = new Registry()
  registry.add(reader as unknown as RealtimeSocket)
  const wheel = new TimerWheel(new FakeClock(), 50)
  const broker = new FaultyBroker()
  await broker.start({ publication() {}, presence() {}, dropped() {}, state() {}, audit() {} })
  t.teardown(() => broker.close())
  await make()
  await new Control({ broker, hub: rig.hub, registry, wheel, failed() {} }).unsubscribe({ user: 'u' }, 'news')
  await rig.publish('news', 1)
  await rig.written()
  t.strictSame(reader.messages, [])
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
  const before = makeSocket('1', 'u', 60_000)
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
  await nextTurn()
  t.strictSame(before.did.slice(1), [
    ['close', 4001, ''],
    ['close', 4002, '']
  ])
  t.equal(nodes.length, 2)
})

t.test('a request that comes late is not for who has connected since', async (t) => {
  const { make, lost } = await makeNodes(t)
  const [old, fresh] = [makeSocket('1', 'u', 60_000), makeSocket('2', 'u', 0)]
  const sender = await make()
  const deaf = await make(old.socket, fresh.socket)
  lost.by = 1
  await sender.disconnect({ user: 'u' }, { code: 4401 })
  const { now } = Date
  t.teardown(() => {
    Date.now = now
  })
  Date.now = () => now() + 30_000
  await deaf.audit()
  t.equal(old.did.length, 1)
  t.equal(fresh.did.length, 0)
})

t.test('a history that began anew is read whole', async (t) => {
  const { broker, make, lost } = await makeNodes(t)
  const { socket, did } = makeSocket('1', 'u')
  const sender = await make()
  const deaf = await make(socket)
  for (let i = 0; i < 3; i++) await sender.disconnect({ user: 'nobody' }, {})
  await broker.removeHistory(CONTROL_CHANNEL)
  lost.by = 1
  await sender.disconnect({ user: 'u' }, { code: 4401 })
  await deaf.audit()
  t.strictSame(did, [['close', 4401, '']])
})

t.test('the same request twice, and strangers on the channel, do no harm', async (t) => {
  const { broker, make, failures, nodes } = await makeNodes(t)
  const { socket, did } = makeSocket('1', 'u')
  const sender = await make()
  await make(socket)
  await sender.disconnect({ user: 'u' }, {})
  const { position } = await broker.history(CONTROL_CHANNEL, { limit: 0 })
  const again = JSON.stringify({ target: { user: 'u' }, do: 'disconnect', code: 4000, reason: '' })
  nodes[1]?.receive({ ...position, data: Buffer.from(again) })
  t.equal(did.length, 1)
  // What came under a new epoch is what was obeyed already.
  await nodes[1]?.audit()
  t.equal(did.length, 1)
  await broker.publish(CONTROL_CHANNEL, Buffer.from('{'), { history: { size: 10, ttl: 1000 } })
  t.strictSame(failures, ['control', 'control'])
})

t.test('a broker that is away is said, and listened to once it is there', async (t) => {
  const { broker, failures, make } = await makeNodes(t)
  const { socket, did } = makeSocket('1', 'u')
  broker.away = true
  const node = await make(socket)
  t.strictSame(failures, ['control'])
  await node.audit()
  node.receive({ offset: 1, epoch: 'x', data: Buffer.from('{}') })
  t.strictSame(failures, ['control'])
  broker.away = false
  await node.listen()
  await node.listen()
  broker.away = true
  await node.audit()
  t.strictSame(failures, ['control', 'control'])
  broker.away = false
  const sender = await make()
  await sender.disconnect({ user: 'u' }, {})
  t.equal(did.length, 1)
})

t.test('what comes while what was missed is read is read after it', async (t) => {
  const { broker, make, lost } = await makeNodes(t)
  const { socket, did } = makeSocket('1', 'u', 60_000)
  const sender = await make()
  const node = await make(socket)
  const ask = (code: number) => sender.disconnect({ user: 'u' }, { code })
  lost.by = 1
  await ask(4001)
  broker.calls.length = 0
  const read = pending<void>()
  const { history } = broker
  broker.history = async (...args) => {
    const page = await history.apply(broker, args)
    await read.promise
    return page
  }
  const audits = [node.audit(), node.audit()]
  await nextTurn()
  await ask(4002)
  lost.by = -1
  await ask(4003)
  read.resolve()
  await Promise.all(audits)
  t.strictSame(
    did.map((deed) => (deed as unknown[])[1]),
    [4001, 4002, 4003]
  )
  t.equal(broker.calls.filter((call) => call.startsWith('history')).length, 2, 'and no more often')
})

t.test('what came in order meanwhile is not taken back', async (t) => {
  const { broker, make } = await makeNodes(t)
  const { socket, did } = makeSocket('1', 'u', 60_000)
  const sender = await make()
  const node = await make(socket)
  const read = pending<void>()
  const { history } = broker
  broker.history = async (...args) => {
    const page = await history.apply(broker, args)
    await read.promise
    return page
  }
  const audit = node.audit()
  await nextTurn()
  await sender.disconnect({ user: 'u' }, { code: 4001 })
  read.resolve()
  await audit
  await sender.disconnect({ user: 'u' }, { code: 4002 })
  t.equal(did.length, 2)
})

t.test('a new epoch makes nobody obey a second time, as far back as history goes', async (t) => {
  const { broker, make } = await makeNodes(t)
  const { socket, did } = makeSocket('1', 'u', 60_000)
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
    const data = Buffer.from(JSON.stringify({ target: {}, do: 'disconnect', node: 'other', id: `${n}` }))
    node.receive({ offset: 4 + n, epoch: 'new', data })
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
      throw new TypeError('no such code')
    }
  })
  const sender = await make()
  await make(odd.socket, good.socket)
  await sender.disconnect({ user: 'u' }, { code: 4000 })
  t.equal(good.did.length, 1)
  await sender.refresh({ user: 'u' }, Number.NaN)
  t.equal(good.did.length, 1, 'nobody expires at no time')
  t.strictSame(failures, ['control', 'control', 'control'])
})
