import t, { type Test } from 'tap'
import type { HistoryPage } from '../../../lib/broker/broker.ts'
import { RedisServer } from '../../support/redis-server.ts'
import { bytes, dataOf, freshPrefix, openRedisBroker } from './bench.ts'

const KEEP = { size: 1000, ttl: 60_000 }
const server = await RedisServer.start(t)
const filled = (length: number) => bytes(`"${'x'.repeat(length - 2)}"`)
const offsetsOf = ({ publications }: HistoryPage) => publications.map(({ offset }) => offset)

/** How many entries of streams the scripts read from now on, until the function given back is called. */
async function countReads(t: Test): Promise<() => Promise<number>> {
  const monitor = await server.admin.monitor()
  t.teardown(() => monitor.disconnect())
  let reads = 0
  let heard = () => {}
  monitor.on('monitor', (_time: string, args: string[], source: string) => {
    if (args[0] === 'echo') heard()
    else if (source === 'lua' && /^XREV|^XRANGE/.test(args[0] as string)) reads += Number(args.at(-1))
  })
  return async () => {
    const end = new Promise<void>((resolve) => {
      heard = resolve
    })
    await server.admin.echo('end')
    await end
    return reads
  }
}

t.test('case 137: who recovers large publications has Redis read twice what it returns, at most', async (t) => {
  const { broker } = await openRedisBroker(t, { redis: server.url })
  // Sizes as in one page of 256 KiB: larger than all of it, a few to a page, and mixed with small ones.
  for (const sizes of [[900_000], [100_000], [300_000, 100], [100, 100, 100, 200_000], [50]]) {
    const room = `room of ${sizes}`
    for (let n = 0; n < 40; n++) {
      await broker.publish(room, filled(sizes[n % sizes.length] as number), { history: KEEP })
    }
    const reads = await countReads(t)
    let offset = 0
    let pages = 0
    for (; offset < 40; pages++) {
      const page = await broker.history(room, { since: { offset, epoch: '' }, limit: 1_000, maxBytes: 262_144 })
      offset = page.publications.at(-1)?.offset as number
    }
    const found = await reads()
    // A page of small ones is asked for with its limit, and ends with the history.
    if (sizes[0] === 50) t.equal(pages, 1)
    else t.ok(found <= 2 * 40, `${room}: ${found} read in ${pages} pages`)
  }
})

t.test('history.maxBytes: the oldest go first', async (t) => {
  const keep = { ...KEEP, maxBytes: 1_000 }

  await t.test('from the first publication on', async (t) => {
    const { broker } = await openRedisBroker(t, { redis: server.url })
    for (let n = 0; n < 30; n++) await broker.publish('room', filled(100), { history: keep })
    const page = await broker.history('room', { limit: 100 })
    t.strictSame(offsetsOf(page), [21, 22, 23, 24, 25, 26, 27, 28, 29, 30])
    t.equal(page.position.offset, 30)
    await broker.publish('room', filled(750), { history: keep })
    t.strictSame(offsetsOf(await broker.history('room', { limit: 100 })), [29, 30, 31])
    await broker.publish('room', filled(5_000), { history: keep })
    t.strictSame(offsetsOf(await broker.history('room', { limit: 100 })), [32], 'the newest stays, however large')
    await broker.publish('room', filled(10), { history: keep })
    t.strictSame(offsetsOf(await broker.history('room', { limit: 100 })), [33])
  })

  await t.test('of several in one command', async (t) => {
    const { broker } = await openRedisBroker(t, { redis: server.url })
    await Promise.all(Array.from({ length: 30 }, () => broker.publish('room', filled(100), { history: keep })))
    t.equal((await broker.history('room', { limit: 100 })).publications.length, 10)
  })

  await t.test('beside the size and the ttl', async (t) => {
    const { broker } = await openRedisBroker(t, { redis: server.url })
    const narrow = { size: 5, ttl: 60_000, maxBytes: 1_000 }
    for (let n = 0; n < 8; n++) await broker.publish('room', filled(300), { history: narrow })
    t.strictSame(offsetsOf(await broker.history('room', { limit: 100 })), [6, 7, 8])
    for (let n = 0; n < 8; n++) await broker.publish('room', filled(10), { history: narrow })
    t.strictSame(offsetsOf(await broker.history('room', { limit: 100 })), [12, 13, 14, 15, 16])
  })

  await t.test('a publish reads no more than it drops', async (t) => {
    const { broker } = await openRedisBroker(t, { redis: server.url })
    for (let n = 0; n < 30; n++) await broker.publish('room', filled(100), { history: keep })
    const reads = await countReads(t)
    for (let n = 0; n < 20; n++) await broker.publish('room', filled(100), { history: keep })
    t.equal(await reads(), 20)
  })

  await t.test('where they can never be too many, nothing is read', async (t) => {
    const { broker } = await openRedisBroker(t, { redis: server.url })
    const reads = await countReads(t)
    const history = { size: 5, ttl: 60_000, maxBytes: 1_000 }
    for (let n = 0; n < 20; n++) await broker.publish('room', filled(100), { history })
    t.equal(await reads(), 0)
    t.strictSame(offsetsOf(await broker.history('room', { limit: 100 })), [16, 17, 18, 19, 20])
  })

  await t.test('counting begins anew once all has expired', async (t) => {
    const prefix = freshPrefix()
    const { broker } = await openRedisBroker(t, { redis: server.url, prefix })
    for (let n = 0; n < 12; n++) await broker.publish('room', filled(100), { history: keep })
    await server.admin.del(`${prefix}:{room}:stream`)
    await server.admin.hset(`${prefix}:{room}:meta`, 'until', 0)
    for (let n = 0; n < 3; n++) await broker.publish('room', filled(10), { history: keep })
    t.strictSame(offsetsOf(await broker.history('room', { limit: 100 })), [13, 14, 15])
    t.equal(await server.admin.hget(`${prefix}:{room}:meta`, 'bytes'), '30')
  })

  await t.test('what a reader finds expired is counted out', async (t) => {
    const prefix = freshPrefix()
    const { broker } = await openRedisBroker(t, { redis: server.url, prefix })
    for (let n = 0; n < 10; n++) await broker.publish('room', filled(100), { history: keep })
    // Three are of long ago.
    const stream = `${prefix}:{room}:stream`
    const entries = await server.admin.xrangeBuffer(stream, '-', '+')
    await server.admin.del(stream)
    for (const [at, [id, fields]] of entries.entries()) {
      if (at < 3) fields[3] = bytes(1)
      await server.admin.xadd(stream, id, ...fields)
    }
    for (const query of [
      { limit: 100, reverse: true },
      { limit: 100, since: { offset: 1, epoch: '' } }
    ]) {
      const offsets = offsetsOf(await broker.history('room', query))
      t.strictSame(
        offsets.sort((a, b) => a - b),
        [4, 5, 6, 7, 8, 9, 10]
      )
    }
    t.equal(await server.admin.hget(`${prefix}:{room}:meta`, 'bytes'), '700')
    for (let n = 0; n < 3; n++) await broker.publish('room', filled(100), { history: keep })
    t.equal((await broker.history('room', { limit: 100 })).publications.length, 10)
  })
})

t.test('case 154: refused after it was added', async (t) => {
  await server.admin.call('ACL', 'SETUSER', 'mute', 'on', '>pw', '~*', '&*', '+@all')
  const prefix = freshPrefix()
  const redis = `redis://mute:pw@127.0.0.1:${server.port}`
  const { broker } = await openRedisBroker(t, { redis, prefix })
  await server.admin.call('ACL', 'SETUSER', 'mute', '-publish')
  const options = { history: KEEP, idempotencyKey: 'k' }
  await t.rejects(broker.publish('room', bytes(1), options), { code: 'FST_RT_UNKNOWN_OUTCOME' })
  t.strictSame(dataOf(await broker.history('room', { limit: 9 })), ['1'], 'it is there')
  t.match(await broker.publish('room', bytes(1), options), { offset: 1, duplicate: true }, 'once')
  await server.admin.call('ACL', 'SETUSER', 'mute', '+publish', '-hset')
  await t.rejects(broker.publish('room', bytes(2), { history: KEEP }), { code: 'FST_RT_UNKNOWN_OUTCOME' })
  await server.admin.call('ACL', 'SETUSER', 'mute', '+hset', '-xadd')
  await t.rejects(broker.publish('room', bytes(3), { history: KEEP }), { code: 'FST_RT_BROKER' })
  await server.admin.call('ACL', 'SETUSER', 'mute', '+xadd')
  t.match(await broker.publish('room', bytes(4), { history: KEEP }), { offset: 3 }, 'after the one that nobody knew of')
  t.strictSame(dataOf(await broker.history('room', { limit: 9 })), ['1', '2', '4'])
})

t.test('a message that is too large to be read is looked for in history', async (t) => {
  const prefix = freshPrefix()
  const { broker, heard } = await openRedisBroker(t, { redis: server.url, prefix })
  await broker.subscribe('room')
  await server.admin.publish(`${prefix}:{room}`, 'x'.repeat(1_000))
  await heard.until(() => heard.unread.length === 1)
  t.strictSame(heard.audits, [])
  await server.admin.publish(`${prefix}:{room}`, 'x'.repeat(8 * 1024 * 1024 + 1))
  await heard.until(() => heard.audits.length > 0)
  t.strictSame(heard.audits, [['room']])
})
