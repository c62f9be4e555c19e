import t from 'tap'
import { PAUSE_REASON } from '../../lib/connection/reading.ts'
import { DEFAULTS } from '../../lib/options/options.ts'
import { type LaneSlot, Lanes } from '../../lib/session/lanes.ts'
import { collect } from '../support/collect.ts'
import { FakeConnection } from '../support/fake-connection.ts'
import { idle } from '../support/idle.ts'

function rig(maxQueue = 100, maxPayload = 100) {
  const log: string[] = []
  const open = new Map<string, { slot: LaneSlot; resolve(): void }>()
  const connection = new FakeConnection({ limits: { ...DEFAULTS.limits, maxQueue, maxPayload } })
  connection.intake.pause = (reason) => void log.push(`pause ${reason}`)
  connection.intake.resume = (reason) => void log.push(`resume ${reason}`)
  const lanes = new Lanes({ connection, lanesIdle: () => log.push('idle') })
  const run = (name: string, job: string, { concurrency = 1, pipelined = false, bytes = 0 } = {}) => {
    const work = (slot: LaneSlot) => {
      log.push(job)
      return new Promise<void>((resolve) => open.set(job, { slot, resolve }))
    }
    lanes.run({ name, concurrency, pipelined }, work, bytes)
  }
  const release = (job: string) => open.get(job)?.slot.release()
  const end = async (job: string) => {
    open.get(job)?.resolve()
    open.delete(job)
    await idle()
  }
  return { lanes, log, run, release, end }
}

const FULL = `pause ${PAUSE_REASON.inbox}`
const FREE = `resume ${PAUSE_REASON.inbox}`

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
  for (const name of ['1', '2', '3', '4']) run('a', name, { concurrency: 2 })
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
  t.same(log, ['1', '2', '3', '4', FULL, '5'])
  await end('1')
  await end('2')
  t.notOk(log.includes(FREE))
  await end('3')
  t.equal(log.at(-1), FREE)
})

t.test('few that are large are as full as many', async (t) => {
  const { lanes, log, run, end } = rig(100, 10)
  run('a', '1', { bytes: 6 })
  run('b', '2', { bytes: 3 })
  t.same(log, ['1', '2'])
  run('a', '3', { bytes: 2 })
  t.same(log, ['1', '2', FULL])
  await end('2')
  t.same(log, ['1', '2', FULL, FREE])
  run('b', '4', { bytes: 3 })
  t.equal(log.at(-1), FULL)
  lanes.clear()
  await end('4')
  t.equal(log.at(-1), FREE, 'what was forgotten counts no more')
})

t.test('a job that has released its slot lets pipelined ones begin, and others once it is done', async (t) => {
  const { lanes, log, run, release, end } = rig()
  const pipelined = { pipelined: true }
  run('a', 'a1', pipelined)
  run('a', 'a2', pipelined)
  run('a', 'a3')
  run('a', 'a4', pipelined)
  t.same(log, ['a1'], 'its order is not settled')
  release('a1')
  t.same(log, ['a1', 'a2'])
  release('a2')
  await end('a2')
  t.same(log, ['a1', 'a2'], 'the next one waits for both')
  await end('a1')
  t.same(log, ['a1', 'a2', 'a3'])
  release('a3')
  t.same(log, ['a1', 'a2', 'a3', 'a4'])
  t.equal(lanes.size, 2)
  const whenIdle = [lanes.idle(), lanes.idle()]
  await end('a4')
  t.equal(lanes.size, 1, 'one that has released its slot is not done')
  await end('a3')
  await Promise.all(whenIdle)
  t.equal(lanes.idle(), undefined)
})

t.test('what has released its slot counts until it is done', async (t) => {
  const { log, run, release, end } = rig(3)
  for (const job of ['1', '2', '3']) {
    run('a', job, { pipelined: true })
    release(job)
  }
  t.same(log, ['1', '2', '3', FULL])
  await end('3')
  await end('1')
  t.equal(log.at(-1), FREE)
})

t.test('jobs that release their slots at once don’t begin within each other', async (t) => {
  const { lanes, run, release, end } = rig()
  const begun: number[] = []
  let depth = 0
  run('a', 'first', { pipelined: true })
  for (let n = 0; n < 50; n++) {
    const work = async (slot: LaneSlot) => {
      begun.push(n)
      t.equal(++depth, 1)
      slot.release()
      depth--
    }
    lanes.run({ name: 'a', concurrency: 1, pipelined: true }, work)
  }
  release('first')
  t.same(
    begun,
    Array.from({ length: 50 }, (_, n) => n)
  )
  await end('first')
  t.equal(lanes.idle(), undefined)
})

t.test('what waits can be forgotten', async (t) => {
  const { lanes, log, run, end } = rig()
  run('a', '1')
  run('a', '2')
  lanes.clear()
  t.equal(lanes.size, 1)
  await end('1')
  t.same(log, ['1', 'idle'])
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
