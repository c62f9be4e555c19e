import t from 'tap'
import type { HistoryQuery } from '../../../lib/broker/broker.ts'
import { MemoryHistory } from '../../../lib/broker/memory/history.ts'

const POSITION_TTL = 10_000
const KEEP = { size: 3, ttl: 1_000 }

function rig() {
  let epochs = 0
  const history = new MemoryHistory(POSITION_TTL, () => `e${++epochs}`)
  const append = (channel: string, now = 0, policy = KEEP) => {
    const { offset } = history.append(channel, Buffer.from(`${now}`), {}, policy, now)
    return offset
  }
  const offsets = (query: Partial<HistoryQuery> & { after?: number } = {}, now = 0) => {
    const { after, limit = 100, reverse } = query
    const since = after === undefined ? undefined : { offset: after, epoch: '' }
    return history.page('room', { limit, reverse, since }, now).publications.map(({ offset }) => offset)
  }
  return { history, append, offsets }
}

t.test('publications are numbered by channel, and carry what they were given', async (t) => {
  const { history, append } = rig()
  append('hall')
  const data = Buffer.from('"x"')
  const info = Buffer.from('"me"')
  t.strictSame(history.append('room', data, { info }, KEEP, 5), { offset: 1, epoch: 'e2', data, info })
  t.equal(append('room'), 2)
  t.equal(append('hall'), 2)
  const { publications, position } = history.page('room', { limit: 1 }, 5)
  t.strictSame([publications[0]?.data, publications[0]?.info], [data, info])
  t.strictSame(position, { offset: 2, epoch: 'e2' })
})

t.test('the newest are kept, by number and by age', async (t) => {
  const { append, offsets } = rig()
  for (const now of [0, 100, 200, 300]) append('room', now)
  t.strictSame(offsets({}, 300), [2, 3, 4])
  t.strictSame(offsets({}, 1_099), [2, 3, 4])
  t.strictSame(offsets({}, 1_100), [3, 4], 'each goes when its own time is over')
  append('room', 1_150, { size: 2, ttl: 60_000 })
  t.strictSame(offsets({}, 1_200), [4, 5], 'by the policy that was given last')
  t.strictSame(offsets({}, 50_000), [4, 5])
})

t.test('pages lie where the offsets say, although what came before is gone', async (t) => {
  const { append, offsets } = rig()
  for (let n = 1; n <= 6; n++) append('room', 0, { size: 4, ttl: 1_000 })
  t.strictSame(offsets(), [3, 4, 5, 6])
  t.strictSame(offsets({ limit: 2 }), [3, 4])
  t.strictSame(offsets({ after: 0 }), [3, 4, 5, 6], 'from before what is kept')
  t.strictSame(offsets({ after: 4 }), [5, 6])
  t.strictSame(offsets({ after: 4, limit: 1 }), [5])
  for (const after of [6, 7, -1, 1.5]) t.strictSame(offsets({ after }), [], `after ${after}`)
  for (const limit of [0, -1]) t.strictSame(offsets({ limit }), [], `limit ${limit}`)
  t.strictSame(offsets({ reverse: true }), [6, 5, 4, 3])
  t.strictSame(offsets({ reverse: true, limit: 2 }), [6, 5])
  t.strictSame(offsets({ reverse: true, after: 5, limit: 1 }), [4])
  t.strictSame(offsets({ reverse: true, after: 100 }), [6, 5, 4, 3])
  for (const after of [3, 0, -1]) t.strictSame(offsets({ reverse: true, after }), [], `before ${after}`)
})

t.test('the counter outlives its publications, and a channel that is removed begins anew', async (t) => {
  const { history, append, offsets } = rig()
  append('room')
  t.strictSame(offsets({}, 1_000), [])
  t.strictSame(history.page('room', { limit: 0 }, 1_000).position, { offset: 1, epoch: 'e1' })
  t.equal(append('room', 1_000), 2)
  history.remove('room')
  t.equal(history.size, 0)
  t.strictSame(history.page('room', { limit: 9 }, 1_000), { publications: [], position: { offset: 0, epoch: 'e2' } })
  t.equal(append('room', 1_000), 1)
})

t.test('a counter that nobody used for long is dropped, unless it is held', async (t) => {
  const { history, append } = rig()
  for (const channel of ['quiet', 'held', 'read', 'kept']) append(channel)
  append('kept', POSITION_TTL - 1)
  const sweep = (now: number) => history.sweep(now, 100, (channel) => channel === 'held')
  sweep(POSITION_TTL - 1)
  t.equal(history.size, 4)
  history.page('read', { limit: 0 }, 1)
  sweep(POSITION_TTL)
  t.equal(history.size, 3, 'quiet is gone; read was used a moment later, kept has a publication yet')
  t.strictSame(history.page('quiet', { limit: 0 }, POSITION_TTL).position, { offset: 0, epoch: 'e5' })
})

t.test('a counter that never counted is dropped sooner: anybody may ask for one', async (t) => {
  const history = new MemoryHistory(86_400_000, () => 'e')
  history.append('used', Buffer.from('1'), {}, KEEP, 0)
  history.page('asked', { limit: 0 }, 0)
  history.sweep(599_999, 100, () => false)
  t.equal(history.size, 2)
  history.sweep(600_000, 100, () => false)
  history.sweep(600_000, 100, () => false)
  t.equal(history.size, 1)
  t.equal(history.page('used', { limit: 0 }, 600_000).position.offset, 1)
})

t.test('a sweep goes on where the last one stopped, then begins again', async (t) => {
  const { history, append } = rig()
  const channels = Array.from({ length: 5 }, (_, n) => `room ${n}`)
  for (const channel of channels) append(channel)
  const looked: string[] = []
  const sweep = () => {
    history.sweep(POSITION_TTL, 2, (channel) => looked.push(channel) > 0)
    return looked.splice(0)
  }
  t.strictSame(sweep(), ['room 0', 'room 1'])
  t.strictSame(sweep(), ['room 2', 'room 3'])
  t.strictSame(sweep(), ['room 4'])
  t.strictSame(sweep(), ['room 0', 'room 1'])
})

t.test('the newest are kept by their bytes, one at least', async (t) => {
  const { history, offsets } = rig()
  const policy = { size: 100, ttl: 1_000, maxBytes: 1_000 }
  const append = (bytes: number) => history.append('room', Buffer.alloc(bytes), {}, policy, 0).offset
  for (let n = 0; n < 5; n++) append(300)
  t.strictSame(offsets(), [3, 4, 5])
  append(100)
  t.strictSame(offsets(), [3, 4, 5, 6], 'exactly as many bytes as are allowed')
  append(5_000)
  t.strictSame(offsets(), [7], 'larger than the bound by itself')
  append(1)
  t.strictSame(offsets(), [8])
})

t.test('a small publication does not keep the pool that its buffer is a part of', async (t) => {
  const { history } = rig()
  const small = Buffer.from('"small"')
  t.ok(small.buffer.byteLength > small.length, 'this is what the pool makes of it')
  const large = Buffer.alloc(100_000, '1')
  for (const data of [small, large]) history.append('room', data, { info: small }, KEEP, 0)
  const { publications } = history.page('room', { limit: 9 }, 0)
  for (const { data, info } of publications) {
    t.equal(data.buffer.byteLength, data.length)
    t.equal(info?.buffer.byteLength, small.length)
  }
  t.equal(publications[1]?.data, large, 'what has its own memory is not copied')
})

const anything = () => false

t.test('past a total the least recently used channels lose their oldest publications', async (t) => {
  const { history } = rig()
  const policy = { size: 100, ttl: 1_000 }
  const fill = (channel: string) => {
    for (let n = 0; n < 4; n++) history.append(channel, Buffer.alloc(10_000), {}, policy, 0)
  }
  const kept = (channel: string) => history.page(channel, { limit: 100 }, 0).publications.map(({ offset }) => offset)
  for (const channel of ['a', 'b', 'c']) fill(channel)
  const { bytes } = history
  history.trim(bytes, anything)
  t.equal(history.bytes, bytes, 'nothing goes while there is room')
  t.strictSame(kept('a'), [1, 2, 3, 4], 'which makes it the most recently used')
  history.trim(bytes - 15_000, anything)
  t.ok(history.bytes <= bytes - 15_000)
  t.strictSame(
    [kept('b'), kept('c'), kept('a')],
    [
      [3, 4],
      [1, 2, 3, 4],
      [1, 2, 3, 4]
    ]
  )
  history.trim(bytes - 70_000, anything)
  t.strictSame(kept('b'), [], 'the first is empty')
  t.ok(kept('c').length < 4 && kept('a').length === 4, 'before the last is touched')
  t.strictSame(history.page('b', { limit: 0 }, 0).position, { offset: 4, epoch: 'e2' }, 'its counter goes on')
})

t.test('counters go last, and never those of channels that are held', async (t) => {
  const { history, append } = rig()
  for (const channel of ['held', 'old', 'new']) append(channel)
  const one = history.bytes / 3
  history.trim(one, (channel) => channel === 'held')
  t.equal(history.size, 2, 'the publications of all three, and one counter')
  const position = (channel: string) => history.page(channel, { limit: 9 }, 0)
  t.strictSame(position('held'), { publications: [], position: { offset: 1, epoch: 'e1' } })
  t.strictSame(position('new'), { publications: [], position: { offset: 1, epoch: 'e3' } })
  t.strictSame(position('old').position, { offset: 0, epoch: 'e4' }, 'a new epoch: nobody takes it for the old one')
  history.trim(0, () => true)
  t.equal(history.size, 3, 'held, every one of them')
  history.trim(0, anything)
  t.strictSame([history.size, history.bytes], [0, 0])
})

t.test('what is counted is given back, however it goes', async (t) => {
  const { history, append } = rig()
  for (const channel of ['a', 'b', 'c']) for (let n = 0; n < 9; n++) append(channel)
  history.append('c', Buffer.alloc(9), { info: Buffer.alloc(9) }, KEEP, 0)
  history.remove('a')
  history.remove('a')
  history.sweep(1_000, 100, anything)
  t.equal(history.size, 2)
  history.sweep(POSITION_TTL, 100, anything)
  history.sweep(POSITION_TTL, 100, anything)
  t.strictSame([history.size, history.bytes], [0, 0])
})

t.test('a sweep ends, though channels in use move to the end of the row', async (t) => {
  const { history, append } = rig()
  for (const channel of ['a', 'b', 'c', 'd']) append(channel)
  const looked: string[] = []
  const isHeld = (channel: string) => looked.push(channel) > 0
  for (let n = 0; n < 4; n++) {
    history.sweep(POSITION_TTL + 1_000, 1, isHeld)
    // Used all the time, they would come up again and again, and `a` never.
    for (const channel of ['c', 'd']) history.page(channel, { limit: 0 }, 0)
  }
  history.sweep(POSITION_TTL + 1_000, 1, isHeld)
  history.sweep(POSITION_TTL + 1_000, 1, isHeld)
  t.equal(looked.at(-1), 'a')
})
