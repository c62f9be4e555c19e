import type { Test } from 'tap'
import type { Broker, HistoryPolicy } from '../../lib/broker/broker.ts'
import { continuityOf } from '../../lib/hub/recovery.ts'
import type { Recorder } from './recorder.ts'

/** A broker under test, started, with what it tells. `pass` lets time go by on the broker's clock, `now` reads it. */
export interface Bench {
  readonly broker: Broker
  readonly heard: Recorder
  pass(milliseconds: number): Promise<void>
  now(): Promise<number>
}

/** Two benches of one backplane: `other` is another node (the same one, for a broker of one process). */
export type OpenBenches = (t: Test) => Promise<{ bench: Bench; other: Bench }>

const KEEP: HistoryPolicy = { size: 10, ttl: 60_000 }
const AWKWARD_NAMES = [
  '*',
  '?',
  '[a]',
  'a:{b}',
  '}{',
  '{}',
  '%7B',
  '{',
  'a:b',
  'a',
  '__proto__',
  'ü',
  'u\u0308',
  ' ',
  'x'.repeat(255)
]

/** What every broker keeps. Each test opens its own benches. */
export async function brokerContract(t: Test, open: OpenBenches): Promise<void> {
  await t.test('delivery', (t) => delivery(t, open))
  await t.test('history', (t) => history(t, open))
  await t.test('positions and epochs', (t) => positions(t, open))
  await t.test('idempotency (case 81)', (t) => idempotency(t, open))
  await t.test('presence', (t) => presence(t, open))
  await t.test('leases (case 56)', (t) => leases(t, open))
  await t.test('tokens (case 76)', (t) => tokens(t, open))
  await t.test('names are no patterns and reach nobody else (case 73)', (t) => names(t, open))
  await t.test('closing', (t) => closing(t, open))
}

/**
 * Plays a scene in a place of its own, and once more where more than `most` milliseconds went by meanwhile: on a busy
 * machine what was to be there still has expired, and that says nothing.
 */
async function inTime<Found>(bench: Bench, most: number, play: (place: string) => Promise<Found>): Promise<Found> {
  for (let scene = 1; ; scene++) {
    const began = await bench.now()
    const found = await play(`scene ${scene}`)
    if ((await bench.now()) - began <= most) return found
  }
}

async function delivery(t: Test, open: OpenBenches): Promise<void> {
  await t.test('only what is subscribed, in order, byte for byte (case 82)', async (t) => {
    const { bench, other } = await open(t)
    await bench.broker.subscribe('room')
    const data = ['1', '"<script>alert(1)</script>"', '"\u{1f600}"', `"${'x'.repeat(65_536)}"`, '"\\ud800"']
    await Promise.all(data.map((text) => other.broker.publish('room', Buffer.from(text))))
    await other.broker.publish('elsewhere', Buffer.from('0'))
    await other.broker.publish('room', Buffer.from('"end"'), { info: Buffer.from('{"user":"u"}') })
    await bench.heard.until(() => bench.heard.publications.length > data.length)
    t.strictSame(bench.heard.data('room'), [...data, '"end"'])
    t.strictSame(bench.heard.publications.at(-1), {
      channel: 'room',
      offset: 0,
      epoch: '',
      data: '"end"',
      info: '{"user":"u"}'
    })
    t.equal(bench.heard.publications.length, data.length + 1, 'nothing of the other channel')
  })

  await t.test('in the order of the calls, although nobody waits for an answer', async (t) => {
    const { bench, other } = await open(t)
    await bench.broker.subscribe('room')
    const numbers = Array.from({ length: 300 }, (_, n) => n)
    // Every kind of publish takes another way through a broker.
    const kinds = [{}, { history: KEEP }, { idempotencyKey: 'k' }, { history: { size: 5, ttl: 60_000 } }]
    const results = await Promise.all(
      numbers.map((n) => {
        const { idempotencyKey, ...options } = kinds[n % kinds.length] as { idempotencyKey?: string }
        const key = idempotencyKey === undefined ? {} : { idempotencyKey: `${idempotencyKey}${n}` }
        return other.broker.publish('room', Buffer.from(`${n}`), { ...options, ...key })
      })
    )
    await bench.heard.until(() => bench.heard.publications.length === numbers.length)
    t.strictSame(bench.heard.data('room').map(Number), numbers)
    t.strictSame(
      results.flatMap(({ offset }) => (offset === 0 ? [] : [offset])),
      numbers.slice(1, 151)
    )
  })

  await t.test('whom a publication is not for, live and in history', async (t) => {
    const { bench, other } = await open(t)
    await bench.broker.subscribe('room')
    const info = Buffer.from('{"user":"u"}')
    const history = KEEP
    const all = [{}, { info }, { except: 'c-1' }, { info, except: 'c_2' }]
    for (const options of all) await other.broker.publish('room', Buffer.from('1'), options)
    for (const options of all) await other.broker.publish('room', Buffer.from('2'), { ...options, history })
    await bench.heard.until(() => bench.heard.publications.length === 8)
    const found = [undefined, undefined, 'c-1', 'c_2']
    const infos = [undefined, '{"user":"u"}', undefined, '{"user":"u"}']
    t.strictSame(
      bench.heard.publications.map(({ offset, info, except }) => [offset, info, except]),
      [...found, ...found].map((except, at) => [Math.max(0, at - 3), infos[at % 4], except])
    )
    const { publications } = await bench.broker.history('room', { limit: 10 })
    t.strictSame(
      publications.map(({ info, except }) => [info?.toString(), except]),
      found.map((except, at) => [infos[at], except])
    )
  })

  await t.test('tags, live and in history, with and without the other parts', async (t) => {
    const { bench, other } = await open(t)
    await bench.broker.subscribe('room')
    const tags = new Map([
      ['ticker', 'BTC'],
      ['__proto__', '"ä\n😀']
    ])
    const info = Buffer.from('{"user":"u"}')
    const all = [{ tags }, { tags, info }, { tags, except: 'c1' }, { tags, info, except: 'c1' }, { info }]
    for (const options of all) await other.broker.publish('room', Buffer.from('1'), options)
    for (const options of all) await other.broker.publish('room', Buffer.from('2'), { ...options, history: KEEP })
    const once = { tags, history: KEEP, idempotencyKey: 'k' }
    for (let n = 0; n < 2; n++) await other.broker.publish('room', Buffer.from('3'), once)
    await bench.heard.until(() => bench.heard.publications.length === 11)
    const expected = [tags, tags, tags, tags, undefined]
    t.strictSame(
      bench.heard.publications.map(({ tags }) => tags && new Map(Object.entries(tags))),
      [...expected, ...expected, tags]
    )
    const { publications } = await bench.broker.history('room', { limit: 10 })
    t.strictSame(
      publications.map(({ tags, info, except }) => [tags, info?.toString(), except]),
      [...all, once].map(({ tags, info, except }: { tags?: object; info?: Buffer; except?: string }) => [
        tags,
        info?.toString(),
        except
      ])
    )
  })

  await t.test('bytes, live and in history, beside JSON', async (t) => {
    const { bench, other } = await open(t)
    await bench.broker.subscribe('room')
    const data = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
    const [info, history, binary] = [Buffer.from('{"user":"u"}'), KEEP, true]
    const all = [{ binary }, { binary, info }, { binary, except: 'c' }, { binary, info, except: 'c' }]
    for (const options of all) await other.broker.publish('room', data, options)
    for (const options of all) await other.broker.publish('room', data, { ...options, history })
    await other.broker.publish('room', Buffer.alloc(0), { binary, history })
    await other.broker.publish('room', Buffer.from('"json"'), { history, except: 'c' })
    await other.broker.publish('room', data, { binary, idempotencyKey: 'k' })
    const again = await other.broker.publish('room', data, { binary, idempotencyKey: 'k' })
    t.equal(again.duplicate, true)
    await bench.heard.until(() => bench.heard.publications.length === 11)
    const kept = [...all, { binary, empty: true }, { except: 'c' }]
    const expected = kept.map((options) => {
      const { binary, info, except, empty } = options as { binary?: true; info?: Buffer; except?: string; empty?: true }
      return [binary ? (empty ? '' : data.toString('latin1')) : '"json"', binary, info?.toString(), except]
    })
    t.strictSame(
      bench.heard.publications.map(({ data, binary, info, except }) => [data, binary, info, except]),
      [...expected.slice(0, 4), ...expected, [data.toString('latin1'), true, undefined, undefined]]
    )
    const { publications } = await bench.broker.history('room', { limit: 10 })
    t.strictSame(
      publications.map(({ data, binary, info, except }) => [data.toString('latin1'), binary, info?.toString(), except]),
      expected
    )
  })

  await t.test('with the time of publishing', async (t) => {
    const { bench, other } = await open(t)
    await bench.broker.subscribe('room')
    const before = Date.now()
    for (const history of [undefined, KEEP]) await other.broker.publish('room', Buffer.from('1'), { history })
    await bench.heard.until(() => bench.heard.times.length === 2)
    for (const time of bench.heard.times) t.ok(time >= before && time <= Date.now())
  })

  await t.test('nothing after unsubscribe, all again after the next subscribe', async (t) => {
    const { bench, other } = await open(t)
    await bench.broker.subscribe('room')
    await bench.broker.unsubscribe('room')
    await other.broker.publish('room', Buffer.from('1'))
    await bench.broker.subscribe('room')
    await other.broker.publish('room', Buffer.from('2'))
    await bench.heard.until(() => bench.heard.publications.length > 0)
    t.strictSame(bench.heard.data('room'), ['2'])
    await bench.broker.unsubscribe('never subscribed')
  })

  await t.test('a broker that is up says so once', async (t) => {
    const { bench } = await open(t)
    t.strictSame(bench.heard.states, [true])
    t.equal(bench.broker.up, true)
  })
}

async function history(t: Test, open: OpenBenches): Promise<void> {
  await t.test('pages forward and backward', async (t) => {
    const { bench, other } = await open(t)
    await bench.broker.subscribe('room')
    const info = Buffer.from('"me"')
    for (let n = 1; n <= 5; n++) await other.broker.publish('room', Buffer.from(`${n}`), { history: KEEP, info })
    await bench.heard.until(() => bench.heard.publications.length === 5)
    t.strictSame(
      bench.heard.publications.map(({ offset }) => offset),
      [1, 2, 3, 4, 5]
    )

    const page = async (query: { since?: unknown; limit: number; reverse?: boolean }) => {
      const since = query.since === undefined ? undefined : { offset: query.since as number, epoch: '' }
      const { publications } = await bench.broker.history('room', { ...query, since })
      return publications.map(({ offset, data }) => (`${offset}` === data.toString() ? offset : data.toString()))
    }
    t.strictSame(await page({ limit: 100 }), [1, 2, 3, 4, 5])
    t.strictSame(await page({ limit: 2 }), [1, 2])
    t.strictSame(await page({ limit: 0 }), [])
    t.strictSame(await page({ limit: 2, since: 2 }), [3, 4])
    t.strictSame(await page({ limit: 100, since: 0 }), [1, 2, 3, 4, 5])
    t.strictSame(await page({ limit: 100, since: 5 }), [])
    t.strictSame(await page({ limit: 2, reverse: true }), [5, 4])
    t.strictSame(await page({ limit: 2, reverse: true, since: 4 }), [3, 2])
    t.strictSame(await page({ limit: 100, reverse: true, since: 100 }), [5, 4, 3, 2, 1])
    t.strictSame(await page({ limit: 100, reverse: true, since: 0 }), [])
    for (const wrong of [-1, 1.5, 2 ** 53 + 1, Number.NaN, 'x', 6, Number.MAX_SAFE_INTEGER]) {
      t.strictSame(await page({ limit: 100, since: wrong }), [], `case 79: nothing after ${wrong}`)
    }
    const { publications, position } = await bench.broker.history('room', { limit: 1 })
    t.equal(publications[0]?.info?.toString(), '"me"')
    t.equal(publications[0]?.epoch, position.epoch)
    t.equal(position.offset, 5)
  })

  await t.test('case 153: says by its own clock how old a publication is, if it is asked', async (t) => {
    const { bench } = await open(t)
    const began = await bench.now()
    await bench.broker.publish('room', Buffer.from('1'), { history: KEEP })
    await bench.pass(300)
    await bench.broker.publish('room', Buffer.from('2'), { history: KEEP })
    const { publications } = await bench.broker.history('room', { limit: 9, ages: true })
    const took = (await bench.now()) - began
    const [first = -1, second = -1] = publications.map(({ age }) => age)
    t.ok(first >= 300 && first <= took + 1 && second >= 0 && second <= took - 299, `${first}, ${second} of ${took}`)
    const { publications: ageless } = await bench.broker.history('room', { limit: 9 })
    t.ok(ageless.every((publication) => !('age' in publication)))
  })

  await t.test('keeps the newest `size`', async (t) => {
    const { bench } = await open(t)
    for (let n = 1; n <= 7; n++) {
      await bench.broker.publish('room', Buffer.from(`${n}`), { history: { size: 3, ttl: 60_000 } })
    }
    const { publications, position } = await bench.broker.history('room', { limit: 100 })
    t.strictSame(
      publications.map(({ offset }) => offset),
      [5, 6, 7]
    )
    t.equal(position.offset, 7)
  })

  await t.test('keeps the newest `maxBytes` of data, and the newest publication in any case', async (t) => {
    const { bench, other } = await open(t)
    const history = { size: 10, ttl: 60_000, maxBytes: 1_024 }
    const publish = (length: number) => other.broker.publish('room', Buffer.alloc(length, '1'), { history })
    const kept = async () =>
      (await bench.broker.history('room', { limit: 100 })).publications.map(({ offset }) => offset)
    const first = await publish(512)
    await publish(512)
    t.strictSame(await kept(), [1, 2], 'as many bytes as may be')
    const reader = { ...first, offset: 1 }
    const continuity = async () =>
      continuityOf(reader, await bench.broker.history('room', { limit: 100, since: reader }))
    t.equal(await continuity(), 'complete')

    await publish(1)
    t.strictSame(await kept(), [2, 3], 'a byte more costs the oldest')
    t.equal(await continuity(), 'complete', 'what the reader has is no loss')
    await publish(512)
    t.strictSame(await kept(), [3, 4])
    t.equal(await continuity(), 'gap')
    await publish(1_025)
    t.strictSame(await kept(), [5], 'the newest stays, however large it is')
    t.equal(await continuity(), 'gap')

    await publish(1_024)
    t.strictSame(await kept(), [6])
    for (let n = 0; n < 11; n++) await publish(1)
    t.strictSame(await kept(), [8, 9, 10, 11, 12, 13, 14, 15, 16, 17], '`size` goes on to count')
    const { position } = await bench.broker.history('room', { limit: 0 })
    t.strictSame(position, { offset: 17, epoch: first.epoch })
  })

  await t.test('drops what is older than `ttl`, and keeps the position', async (t) => {
    const { bench } = await open(t)
    const policy = { size: 10, ttl: 450 }
    const { room, first, later } = await inTime(bench, 740, async (room) => {
      const first = await bench.broker.publish(room, Buffer.from('1'), { history: policy })
      await bench.pass(300)
      await bench.broker.publish(room, Buffer.from('2'), { history: policy })
      await bench.pass(300)
      return { room, first, later: await bench.broker.history(room, { limit: 100 }) }
    })
    t.strictSame(
      later.publications.map(({ offset }) => offset),
      [2],
      'the first was 600 ms old'
    )
    await bench.pass(600)
    const last = await bench.broker.history(room, { limit: 100 })
    t.strictSame(last.publications, [])
    t.strictSame(last.position, { offset: 2, epoch: first.epoch })
    const third = await bench.broker.publish(room, Buffer.from('3'), { history: policy })
    t.strictSame(third, { offset: 3, epoch: first.epoch, duplicate: false })
  })
}

async function positions(t: Test, open: OpenBenches): Promise<void> {
  await t.test('with the position alone comes how many publications the history has', async (t) => {
    const { bench } = await open(t)
    const size = async () => (await bench.broker.history('room', { limit: 0 })).size
    t.equal(await size(), 0)
    for (let at = 0; at < 4; at++) {
      await bench.broker.publish('room', Buffer.from('1'), { history: { size: 3, ttl: 60_000 } })
    }
    t.equal(await size(), 3)
    t.notOk('size' in (await bench.broker.history('room', { limit: 1 })))
    await bench.broker.removeHistory('room')
    t.equal(await size(), 0)
  })

  await t.test('a channel gets its epoch by being asked', async (t) => {
    const { bench, other } = await open(t)
    const asked = await bench.broker.history('room', { limit: 10 })
    t.equal(asked.position.offset, 0)
    t.match(asked.position.epoch, /^[\w-]{8,}$/)
    t.strictSame(asked.publications, [])
    const result = await other.broker.publish('room', Buffer.from('1'), { history: KEEP })
    t.strictSame(result, { offset: 1, epoch: asked.position.epoch, duplicate: false })
    const neighbour = await bench.broker.history('hall', { limit: 0 })
    t.not(neighbour.position.epoch, asked.position.epoch)
  })

  await t.test('a page ends with its bytes, and holds one publication at least', async (t) => {
    const { bench, other } = await open(t)
    const history = { size: 100, ttl: 60_000 }
    for (let n = 0; n < 70; n++) {
      const text = n === 60 ? `"${'y'.repeat(1_000)}"` : `"${'x'.repeat(98)}"`
      await other.broker.publish('room', Buffer.from(text), { history })
    }
    const { position } = await bench.broker.history('room', { limit: 0 })
    const offsetsOf = async (query: { offset?: number; limit?: number; maxBytes: number; reverse?: boolean }) => {
      const { offset, limit = 100, ...rest } = query
      const since = offset === undefined ? undefined : { ...position, offset }
      const { publications } = await bench.broker.history('room', { limit, since, ...rest })
      return [publications[0]?.offset, publications.at(-1)?.offset, publications.length]
    }
    t.strictSame(await offsetsOf({ maxBytes: 1_000 }), [1, 10, 10])
    t.strictSame(await offsetsOf({ maxBytes: 1_099 }), [1, 10, 10])
    t.strictSame(await offsetsOf({ maxBytes: 4_500, offset: 10 }), [11, 55, 45])
    t.strictSame(await offsetsOf({ maxBytes: 4_500, offset: 10, limit: 40 }), [11, 50, 40])
    t.strictSame(await offsetsOf({ maxBytes: 250, reverse: true }), [70, 69, 2])
    t.strictSame(await offsetsOf({ maxBytes: 1, offset: 60 }), [61, 61, 1], 'one that is larger than all may be')
    t.strictSame(await offsetsOf({ maxBytes: 1_000_000, offset: 60 }), [61, 70, 10])
    t.strictSame(await offsetsOf({ maxBytes: 1, offset: 70 }), [undefined, undefined, 0])
  })

  await t.test('removed history starts again with a new epoch (case 102)', async (t) => {
    const { bench } = await open(t)
    const before = await bench.broker.publish('room', Buffer.from('1'), { history: KEEP })
    await bench.broker.removeHistory('room')
    const { publications, position } = await bench.broker.history('room', { limit: 10 })
    t.strictSame(publications, [])
    t.equal(position.offset, 0)
    t.not(position.epoch, before.epoch)
    const after = await bench.broker.publish('room', Buffer.from('2'), { history: KEEP })
    t.strictSame(after, { offset: 1, epoch: position.epoch, duplicate: false })
  })

  await t.test('every node with a subscriber learns that a history was removed', async (t) => {
    const { bench, other } = await open(t)
    await bench.broker.subscribe('room')
    const options = { history: KEEP, idempotencyKey: 'k' }
    const first = await other.broker.publish('room', Buffer.from('1'), options)
    await bench.heard.until(() => bench.heard.publications.length === 1)
    await other.broker.removeHistory('hall')
    await other.broker.removeHistory('room')
    await bench.heard.until(() => bench.heard.audits.length > 0)
    t.strictSame(bench.heard.audits, [['room']])
    t.strictSame(
      await other.broker.publish('room', Buffer.from('1'), options),
      { ...first, duplicate: true },
      'keys stay'
    )
    const { position } = await bench.broker.history('room', { limit: 0 })
    t.equal(position.offset, 0)
    t.match(await other.broker.publish('room', Buffer.from('2'), { history: KEEP }), { ...position, offset: 1 })
    await bench.heard.until(() => bench.heard.publications.length === 2)
  })

  await t.test('a publication without history has no position and leaves the counter alone', async (t) => {
    const { bench } = await open(t)
    await bench.broker.publish('room', Buffer.from('1'), { history: KEEP })
    t.strictSame(await bench.broker.publish('room', Buffer.from('2')), { offset: 0, epoch: '', duplicate: false })
    t.equal((await bench.broker.history('room', { limit: 0 })).position.offset, 1)
  })
}

async function idempotency(t: Test, open: OpenBenches): Promise<void> {
  for (const policy of [KEEP, undefined]) {
    await t.test(policy ? 'with history' : 'without history', async (t) => {
      const { bench, other } = await open(t)
      await bench.broker.subscribe('room')
      const options = { history: policy, idempotencyKey: 'k:{1}' }
      const first = await bench.broker.publish('room', Buffer.from('1'), options)
      const again = await other.broker.publish('room', Buffer.from('1'), options)
      t.strictSame(again, { ...first, duplicate: true })
      await t.rejects(other.broker.publish('room', Buffer.from('2'), options), { code: 'FST_RT_CONFLICT' })
      const apart = await bench.broker.publish('hall', Buffer.from('2'), options)
      t.equal(apart.duplicate, false, 'another channel, another key')
      await bench.broker.publish('room', Buffer.from('3'), { history: policy, idempotencyKey: 'k2' })
      await bench.heard.until(() => bench.heard.data('room').length === 2)
      t.strictSame(bench.heard.data('room'), ['1', '3'])
    })
  }

  await t.test('remembered for its ttl', async (t) => {
    const { bench } = await open(t)
    const options = { history: KEEP, idempotencyKey: 'k', idempotencyTtl: 100 }
    await bench.broker.publish('room', Buffer.from('1'), options)
    await bench.pass(450)
    t.match(await bench.broker.publish('room', Buffer.from('2'), options), { offset: 2, duplicate: false })
  })
}

async function presence(t: Test, open: OpenBenches): Promise<void> {
  await t.test('entries, refreshes and stats', async (t) => {
    const { bench, other } = await open(t)
    const entry = (connection: string, user: string) => ({
      connection,
      user,
      info: Buffer.from(`{"c":"${connection}"}`)
    })
    t.strictSame(await bench.broker.presence('room'), [])
    t.strictSame(await bench.broker.presenceStats('room'), { connections: 0, users: 0 })
    await bench.broker.addPresence('room', entry('c1', 'u:1'), 60_000)
    await other.broker.addPresence('room', entry('c2', 'u:1'), 60_000)
    await other.broker.addPresence('room', entry('c3', '__proto__'), 60_000)
    const byConnection = (list: readonly { connection: string }[]) =>
      [...list].sort((a, b) => a.connection.localeCompare(b.connection))
    t.strictSame(byConnection(await bench.broker.presence('room')), [
      entry('c1', 'u:1'),
      entry('c2', 'u:1'),
      entry('c3', '__proto__')
    ])
    t.strictSame(await other.broker.presenceStats('room'), { connections: 3, users: 2 })
    await other.broker.removePresence('room', 'c3')
    t.strictSame(await bench.broker.presenceStats('room'), { connections: 2, users: 1 })
    await bench.broker.removePresence('room', 'c1')
    t.strictSame(await bench.broker.presenceStats('room'), { connections: 1, users: 1 })
    await other.broker.removePresence('room', 'c2')
    await other.broker.removePresence('room', 'c2')
    t.strictSame(await bench.broker.presenceStats('room'), { connections: 0, users: 0 })
    t.strictSame(await bench.broker.presenceStats('hall'), { connections: 0, users: 0 })
  })

  await t.test('an entry that is refreshed stays, a dead node’s leaves', async (t) => {
    const { bench, other } = await open(t)
    const entry = (connection: string) => ({ connection, user: 'u', info: Buffer.from('{}') })
    const { room, refreshed } = await inTime(bench, 1_040, async (room) => {
      await bench.broker.addPresence(room, entry('c1'), 60_000)
      await other.broker.addPresence(room, entry('c2'), 600)
      await bench.pass(450)
      await other.broker.addPresence(room, entry('c2'), 600)
      await bench.pass(300)
      return { room, refreshed: await bench.broker.presenceStats(room) }
    })
    t.equal(refreshed.connections, 2)
    await bench.pass(750)
    t.strictSame(await bench.broker.presenceStats(room), { connections: 1, users: 1 })
    t.same(
      (await bench.broker.presence(room)).map(({ connection }) => connection),
      ['c1']
    )
  })

  await t.test('joins and leaves', async (t) => {
    const { bench, other } = await open(t)
    await bench.broker.subscribe('room')
    await other.broker.publishPresence('room', 'join', Buffer.from('{"user":"u"}'))
    await other.broker.publishPresence('hall', 'join', Buffer.from('{}'))
    await other.broker.publishPresence('room', 'leave', Buffer.from('{"user":"u"}'))
    await bench.heard.until(() => bench.heard.presences.length === 2)
    t.strictSame(bench.heard.presences, [
      { channel: 'room', kind: 'join', info: '{"user":"u"}' },
      { channel: 'room', kind: 'leave', info: '{"user":"u"}' }
    ])
  })
}

async function leases(t: Test, open: OpenBenches): Promise<void> {
  const { bench, other } = await open(t)
  const { broker } = bench
  const { u, answers } = await inTime(bench, 1_040, async (u) => {
    const answers = [
      await broker.acquireLease(u, 'a', 2, 600),
      await other.broker.acquireLease(u, 'b', 2, 60_000),
      await broker.acquireLease(u, 'c', 2, 60_000),
      await broker.acquireLease(`${u}:`, 'c', 2, 60_000)
    ]
    await bench.pass(450)
    answers.push(await broker.acquireLease(u, 'a', 2, 600))
    await bench.pass(300)
    answers.push(await broker.acquireLease(u, 'c', 2, 60_000))
    return { u, answers }
  })
  t.strictSame(answers, [true, true, false, true, true, false], 'two places; another key; one that is renewed is held')
  await bench.pass(450)
  t.equal(await broker.acquireLease(u, 'c', 2, 60_000), true, 'a dead node’s lease expires')
  await other.broker.releaseLease(u, 'b')
  await other.broker.releaseLease(u, 'b')
  await other.broker.releaseLease('nobody', 'b')
  t.equal(await broker.acquireLease(u, 'd', 2, 60_000), true)
  t.equal(await broker.acquireLease(u, 'e', 2, 60_000), false)
  t.equal(await broker.acquireLease(u, 'd', 1, 60_000), true, 'who holds one may renew under a lower limit')
}

async function tokens(t: Test, open: OpenBenches): Promise<void> {
  const { bench, other } = await open(t)
  const bucket = { rate: 10, burst: 5 }
  const { u, answers } = await inTime(bench, 90, async (u) => {
    const answers = [
      await bench.broker.takeTokens(u, 3, bucket),
      await other.broker.takeTokens(u, 3, bucket),
      await bench.broker.takeTokens(u, 1, bucket)
    ] as const
    return { u, answers }
  })
  const [all, short, none] = answers
  t.strictSame(all, { granted: 3, retryAfter: 0 })
  t.equal(short.granted, 2)
  t.ok(short.retryAfter > 0 && short.retryAfter <= 100, 'one token takes 100 ms')
  t.equal(none.granted, 0)
  t.ok(none.retryAfter > 0 && none.retryAfter <= 100)
  await bench.pass(none.retryAfter)
  t.strictSame(await bench.broker.takeTokens(u, 1, bucket), { granted: 1, retryAfter: 0 })
  await bench.pass(1000)
  t.match(await bench.broker.takeTokens(u, 100, bucket), { granted: 5 }, 'never more than the burst')
  t.strictSame(await bench.broker.takeTokens('other', 5, bucket), { granted: 5, retryAfter: 0 })
}

async function names(t: Test, open: OpenBenches): Promise<void> {
  const { bench, other } = await open(t)
  await Promise.all(AWKWARD_NAMES.map((name) => bench.broker.subscribe(name)))
  for (const name of AWKWARD_NAMES) {
    const result = await other.broker.publish(name, Buffer.from(JSON.stringify(name)), { history: KEEP })
    t.equal(result.offset, 1, `${name} has a counter of its own`)
  }
  await bench.heard.until(() => bench.heard.publications.length >= AWKWARD_NAMES.length)
  t.ok(bench.heard.publications.every(({ channel, data }) => JSON.parse(data) === channel))
  // Order is a channel's own: two may come over two connections.
  t.strictSame(new Set(bench.heard.publications.map(({ channel }) => channel)), new Set(AWKWARD_NAMES))
  await bench.broker.removeHistory('a')
  for (const name of AWKWARD_NAMES.filter((name) => name !== 'a')) {
    t.equal((await bench.broker.history(name, { limit: 9 })).publications.length, 1, `${name} kept its history`)
  }
}

async function closing(t: Test, open: OpenBenches): Promise<void> {
  const { bench } = await open(t)
  const { broker } = bench
  await broker.subscribe('room')
  await Promise.all([broker.close(), broker.close()])
  t.equal(broker.up, false)
  const gone = { code: 'FST_RT_UNAVAILABLE' }
  const entry = { connection: 'c', user: 'u', info: Buffer.from('{}') }
  await t.rejects(broker.publish('room', Buffer.from('1')), gone)
  await t.rejects(broker.publish('room', Buffer.from('1'), { history: KEEP }), gone)
  await t.rejects(broker.publish('room', Buffer.from('1'), { idempotencyKey: 'k' }), gone)
  await t.rejects(broker.subscribe('room'), gone)
  await t.rejects(broker.history('room', { limit: 1 }), gone)
  await t.rejects(broker.removeHistory('room'), gone)
  await t.rejects(broker.publishPresence('room', 'join', Buffer.from('{}')), gone)
  await t.rejects(broker.addPresence('room', entry, 1000), gone)
  await t.rejects(broker.removePresence('room', 'c'), gone)
  await t.rejects(broker.presence('room'), gone)
  await t.rejects(broker.presenceStats('room'), gone)
  await t.rejects(broker.acquireLease('u', 'a', 1, 1000), gone)
  await t.rejects(broker.releaseLease('u', 'a'), gone)
  await t.rejects(broker.takeTokens('u', 1, { rate: 1, burst: 1 }), gone)
  await broker.unsubscribe('room')
  t.strictSame(bench.heard.states, [true], 'closing is no change to report')
}
