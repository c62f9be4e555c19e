import t from 'tap'
import { Lanes } from '../../lib/session/lanes.ts'
import { collect } from '../support/collect.ts'
import { idle } from '../support/idle.ts'

function rig(capacity = 100, maxBytes = 100) {
  const log: string[] = []
  const open = new Map<string, () => void>()
  const lanes = new Lanes({ capacity, maxBytes, full: () => log.push('full'), free: () => log.push('free') })
  const run = (lane: string, name: string, concurrency = 1, bytes = 0) => {
    const job = () => {
      log.push(name)
      return new Promise<void>((resolve) => open.set(name, resolve))
    }
    lanes.run(lane, concurrency, job, bytes)
  }
  const end = async (name: string) => {
    open.get(name)?.()
    await idle()
  }
  return { lanes, log, run, end }
}

t.test('one lane in order, lanes beside each other', async (t) => {
  const { lanes, log, run, end } = rig()
  run('a', 'a1')
  run('a', 'a2')
  run('b', 'b1')
  t.same(log, ['a1', 'b1'])
  t.equal(lanes.size, 3)
  await end('b1')
  await end('a1')
  t.same(log, ['a1', 'b1', 'a2'])
  const idle = lanes.idle()
  await end('a2')
  await idle
  t.equal(lanes.idle(), undefined)
  t.equal(lanes.size, 0)
})

t.test('so many at a time', async (t) => {
  const { log, run, end } = rig()
  for (const name of ['1', '2', '3', '4']) run('a', name, 2)
  t.same(log, ['1', '2'])
  await end('2')
  t.same(log, ['1', '2', '3'])
  await end('1')
  await end('3')
  t.same(log, ['1', '2', '3', '4'])
})

t.test('full, and free again at half', async (t) => {
  const { log, run, end } = rig(4)
  for (const name of ['1', '2', '3', '4', '5']) run(name, name)
  t.same(log, ['1', '2', '3', '4', 'full', '5'])
  await end('1')
  await end('2')
  t.notOk(log.includes('free'))
  await end('3')
  t.equal(log.at(-1), 'free')
})

t.test('few that are large are as full as many', async (t) => {
  const { lanes, log, run, end } = rig(100, 10)
  run('a', '1', 1, 6)
  run('b', '2', 1, 3)
  t.same(log, ['1', '2'])
  run('a', '3', 1, 2)
  t.same(log, ['1', '2', 'full'])
  await end('2')
  t.same(log, ['1', '2', 'full', 'free'])
  run('b', '4', 1, 3)
  t.equal(log.at(-1), 'full')
  lanes.clear()
  await end('4')
  t.equal(log.at(-1), 'free', 'what was forgotten counts no more')
})

t.test('what waits can be forgotten', async (t) => {
  const { lanes, log, run, end } = rig()
  run('a', '1')
  run('a', '2')
  lanes.clear()
  t.equal(lanes.size, 1)
  await end('1')
  t.same(log, ['1'])
})

t.test('a lane is forgotten with its last job: a client may name as many as it likes', async (t) => {
  const { lanes, run, end } = rig()
  // What a lane is named by is held by nothing but the lane: an object's end shows, unlike a text's.
  const names = ['1', '2', '3'].map((name) => {
    const object = new String(name) as unknown as string
    run(object, name)
    return new WeakRef(object as unknown as object)
  })
  await end('1')
  await end('3')
  collect()
  t.same(
    names.map((name) => name.deref() === undefined),
    [true, false, true]
  )
  await end('2')
  collect()
  t.equal(names[1]?.deref(), undefined)
  t.equal(lanes.size, 0)
})
