import t, { type Test } from 'tap'
import { Registry } from '../../lib/connection/registry.ts'
import { PresenceKeeper } from '../../lib/hub/presence-keeper.ts'
import { isCursor, isInbox, Roster } from '../../lib/node/roster.ts'
import { Limiter } from '../../lib/timing/limiter.ts'
import { TimerWheel } from '../../lib/timing/timer-wheel.ts'
import { FakeClock, FaultyBroker, makeRig } from '../hub/rig.ts'
import { FakeConnection } from '../support/fake-connection.ts'

const ROSTER = '\u0000roster'

const socket = (id: string, route = '/live') => new FakeConnection({ id, route, user: { sub: 'ada' } })

/** Nodes on one broker. */
async function cluster(t: Test) {
  const clock = new FakeClock(1_000)
  const broker = new FaultyBroker({ clock })
  const rosters: Roster[] = []
  const failures: string[] = []
  const { hub } = await makeRig(t)
  let dropped = 0
  await broker.start({
    publication: (channel, publication) => {
      for (const roster of rosters) if (isInbox(channel) && inboxes.get(roster) === channel) roster.receive(publication)
    },
    presence() {},
    dropped() {},
    state() {},
    audit() {}
  })
  t.teardown(() => broker.close())
  const inboxes = new Map<Roster, string>()
  const wheel = new TimerWheel(clock, 50)
  const failed = (stage: string) => void failures.push(stage)
  const presence = new PresenceKeeper({ broker, wheel, limiter: new Limiter(8), failed })
  const node = async (ids: readonly string[], { alone = false, route = '/live', join = true } = {}) => {
    const registry = new Registry()
    for (const id of ids) registry.add(socket(id, route))
    const roster = new Roster({ broker, hub, registry, presence, wheel, alone, failed, dropped: () => dropped++ })
    rosters.push(roster)
    if (join) await roster.join()
    const call = broker.calls.findLast((call) => call.startsWith('subscribe \u0000node '))
    if (!alone && call !== undefined) inboxes.set(roster, call.slice('subscribe '.length))
    return roster
  }
  /** All pages from one node, by the ids on them. */
  const all = async (roster: Roster, limit: number) => {
    const pages: string[][] = []
    let cursor: string | undefined
    do {
      const page = await roster.page(limit, cursor)
      pages.push(page.connections.map(({ id }) => id))
      t.equal(page.unanswered, 0)
      cursor = page.cursor
      if (cursor !== undefined) t.ok(isCursor(cursor))
    } while (cursor !== undefined)
    return pages
  }
  return { broker, clock, node, all, failures, presence, inboxes, rosters, droppedSoFar: () => dropped }
}

t.test('every connection of every node is on one page, whichever node is asked', async (t) => {
  const { node, all } = await cluster(t)
  const ids = Array.from({ length: 25 }, (_, n) => `c${String((n * 7) % 25).padStart(2, '0')}`)
  const nodes = [await node(ids.slice(0, 12)), await node([]), await node(ids.slice(12))]
  for (const roster of nodes) {
    for (const limit of [1, 5, 12, 13, 1_000]) {
      const pages = await all(roster, limit)
      t.same(pages.flat().sort(), [...ids].sort(), `${limit} a page`)
      t.ok(pages.every((page) => page.length <= limit))
    }
  }
})

t.test('the list says whether there is a node, and is read once at a time', async (t) => {
  const { node, clock, broker } = await cluster(t)
  const [one, other] = [await node([]), await node([])]
  let reads = 0
  const { presence } = broker
  broker.presence = (channel) => {
    reads++
    return presence.call(broker, channel)
  }
  t.same(await Promise.all([other.node, 'stranger', 'nobody'].map((id) => one.has(id))), [true, false, false])
  t.equal(reads, 1)
  t.equal(one.has(other.node), true)
  other.leave()
  clock.advance(31_000)
  t.equal(await one.has(other.node), false)
  t.equal(reads, 2)
})

t.test('a node alone asks nobody', async (t) => {
  const { node, broker, all } = await cluster(t)
  const roster = await node(['b', 'a', 'c'], { alone: true })
  t.same(await all(roster, 2), [['a', 'b'], ['c']])
  t.same(broker.calls, [])
  t.same(await roster.page(1, '~.'.replace('~', 'z')), { connections: [], unanswered: 0 }, 'a node that is gone')
})

t.test('one that does not answer is counted, and the next page goes on behind it', async (t) => {
  const { node, broker, clock } = await cluster(t)
  const roster = await node(['a'])
  for (const connection of ['no id!', '-first', 'zlast']) {
    await broker.addPresence(ROSTER, { connection, user: '', info: Buffer.from('{}') }, 60_000)
  }
  /** A page, if the node that is asked says nothing. */
  const page = async (cursor?: string) => {
    const { publish } = broker
    const asked = new Promise<void>((resolve) => {
      broker.publish = (...question) => {
        resolve()
        return publish.apply(broker, question)
      }
    })
    const answer = roster.page(10, cursor)
    await asked
    await new Promise(setImmediate)
    clock.advance(2_100)
    broker.publish = publish
    return answer
  }
  const first = await page()
  t.match(first, { connections: [], unanswered: 1, cursor: /./ })
  t.match(await page(first.cursor), { connections: [{ id: 'a' }], unanswered: 1, cursor: undefined })
})

t.test('an answer that is too long is cut, and the next page has the rest', async (t) => {
  const { node, all } = await cluster(t)
  const ids = ['a', 'b', 'c', 'd']
  await node(ids, { route: 'x'.repeat(200_000) })
  const pages = await all(await node([]), 100)
  t.same(pages.flat(), ids)
  t.ok(pages.length > 1)
})

t.test('what is no message is dropped, and an answer that nobody waits for is nothing', async (t) => {
  const { node, broker, inboxes, droppedSoFar } = await cluster(t)
  const roster = await node([])
  const inbox = inboxes.get(roster) as string
  for (const text of ['1', '{"v":1,"id":"late","connections":[],"more":false}']) {
    await broker.publish(inbox, Buffer.from(text))
  }
  t.equal(droppedSoFar(), 1)
})

t.test('a broker that is away', async (t) => {
  const { node, broker, failures, presence, inboxes } = await cluster(t)
  broker.away = true
  const roster = await node(['a'])
  t.same(failures, ['roster'])
  await t.rejects(roster.page(1, undefined), { message: 'away' })
  broker.away = false
  t.match(await roster.page(1, undefined), { connections: [{ id: 'a' }] }, 'it joins late')
  const other = await node(['b'])
  const { publish } = broker
  broker.publish = () => Promise.reject(new Error('away'))
  await t.rejects(roster.page(2, undefined), { message: 'away' })
  t.same(failures, ['roster'])
  // It cannot answer.
  const question = Buffer.from('{"v":1,"id":"q","from":"n","after":"","limit":1}')
  roster.receive({ offset: 0, epoch: '', data: question })
  await new Promise(setImmediate)
  t.same(failures, ['roster', 'roster'])
  broker.publish = publish
  for (const one of [roster, other]) one.leave()
  await presence.settled()
  t.same(await broker.presence(ROSTER), [])
  t.equal(inboxes.size, 2)
  await roster.join()
})

t.test('a node that ends while it joins, or before', async (t) => {
  const { broker, presence, node } = await cluster(t)
  const roster = await node([], { join: false })
  const joining = roster.join()
  roster.leave()
  await joining
  await presence.settled()
  t.same(await broker.presence(ROSTER), [])
  const calls = broker.calls.length
  const late = await node([], { join: false })
  late.leave()
  await late.join()
  t.equal(broker.calls.length, calls)
})
