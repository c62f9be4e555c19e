import t from 'tap'
import { Limiter } from '../../lib/timing/limiter.ts'

const turn = () => new Promise(setImmediate)

t.test('so many jobs run at a time, the others in the order in which they came', async (t) => {
  const limiter = new Limiter(2)
  const begun: number[] = []
  const ends: (() => void)[] = []
  const jobs = [0, 1, 2, 3].map((n) =>
    limiter.run(() => {
      begun.push(n)
      return new Promise<number>((resolve) => {
        ends[n] = () => resolve(n)
      })
    })
  )
  await turn()
  t.same(begun, [0, 1])
  ends[1]?.()
  await turn()
  t.same(begun, [0, 1, 2])
  ends[0]?.()
  ends[2]?.()
  await turn()
  ends[3]?.()
  t.same(await Promise.all(jobs), [0, 1, 2, 3])
})

t.test('a job that fails makes room like any other', async (t) => {
  const limiter = new Limiter(1)
  const failing = limiter.run(() => Promise.reject(new Error('failed')))
  const next = limiter.run(async () => 'ran')
  await t.rejects(failing, { message: 'failed' })
  t.equal(await next, 'ran')
  t.equal(await limiter.run(async () => 'ran again'), 'ran again')
})
