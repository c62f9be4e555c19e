import { access } from 'node:fs'
import t from 'tap'
import { isTimeout, RedisDeadlines } from '../../../lib/broker/redis/deadlines.ts'
import { idle } from '../../support/idle.ts'
import { pending } from '../../support/pending.ts'

/** Keeps the process busy. */
function stall(milliseconds: number): void {
  const end = performance.now() + milliseconds
  while (performance.now() < end);
}

// As a connection would: a deadline alone keeps no process alive.
const alive = setInterval(() => undefined, 60_000)
t.teardown(() => clearInterval(alive))

t.test('answers that come in time are handed on, as they are', async (t) => {
  const deadlines = new RedisDeadlines(10_000)
  const failure = new Error('refused')
  const answers = [Promise.resolve(1), Promise.reject(failure), pending<string>()] as const
  const given = answers.map((answer) => deadlines.within<unknown>('promise' in answer ? answer.promise : answer))
  t.equal(await given[0], 1)
  await t.rejects(given[1] as Promise<unknown>, failure)
  answers[2].resolve('later')
  t.equal(await given[2], 'later')
})

t.test('one that does not come is given up, and those after it in their turn', async (t) => {
  const deadlines = new RedisDeadlines(20)
  const began = performance.now()
  const first = deadlines.within(pending().promise)
  await idle()
  const answer = pending<string>()
  const second = deadlines.within(answer.promise)
  const third = deadlines.within(pending().promise)
  answer.resolve('in time')
  t.equal(await second, 'in time')
  for (const late of [first, third]) {
    const error = await late.catch((reason: unknown) => reason)
    t.ok(isTimeout(error))
  }
  t.ok(performance.now() - began >= 20)
  t.notOk(isTimeout(new Error('Connection is closed.')))
  // Its timer has stopped, and starts again.
  await t.rejects(deadlines.within(pending().promise), { message: 'Command timed out' })
})

t.test('commands of one turn are late together, except those that were answered', async (t) => {
  const deadlines = new RedisDeadlines(20)
  const failures: string[] = []
  const failed = (name: string) => (error: unknown) => {
    failures.push(`${name}: ${(error as Error).message}`)
    return new Error(name)
  }
  const answer = pending<string>()
  const refusal = pending()
  const late = pending()
  const results = Promise.allSettled([
    deadlines.within(answer.promise, failed('answered')),
    deadlines.within(refusal.promise, failed('refused')),
    deadlines.within(late.promise, failed('late'))
  ])
  t.equal(deadlines.waiting, 3)
  const idling = deadlines.idle()
  answer.resolve('in time')
  refusal.reject(new Error('no'))
  await idle()
  t.equal(deadlines.waiting, 1)
  t.match(await results, [{ value: 'in time' }, { reason: { message: 'refused' } }, { reason: { message: 'late' } }])
  await idling
  t.equal(deadlines.waiting, 0)
  await deadlines.idle()
  late.reject(new Error('closed'))
  await idle()
  t.strictSame(failures, ['refused: no', 'late: Command timed out'], 'each is settled once')
  t.equal(deadlines.waiting, 0)
})

t.test('what has arrived while the process was busy is in time', async (t) => {
  const deadlines = new RedisDeadlines(20)
  const found = pending<string>()
  const answer = deadlines.within(found.promise)
  await idle()
  // Done by another thread, and told of in the phase in which sockets are read.
  access(new URL(import.meta.url), () => found.resolve('found'))
  stall(100)
  t.equal(await answer, 'found')
})

t.test('a deadline keeps no process alive', async (t) => {
  const timeouts = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
  const before = timeouts()
  const answer = pending<void>()
  const given = new RedisDeadlines(60_000).within(answer.promise)
  await idle()
  t.equal(timeouts(), before)
  answer.resolve()
  await given
})

t.test('the time runs from the end of the turn', async (t) => {
  const deadlines = new RedisDeadlines(50)
  const slow = pending<string>()
  const answer = deadlines.within(slow.promise)
  stall(100)
  await idle()
  slow.resolve('in time')
  t.equal(await answer, 'in time')
})

t.test('case 136: while an answer comes in, those behind it are not late', async (t) => {
  let received = 0
  const deadlines = new RedisDeadlines(40, () => received)
  const began = performance.now()
  const first = deadlines.within(pending().promise).catch((reason: unknown) => reason)
  await idle()
  // Something comes in whenever it is looked, until ten times the time is over.
  while (performance.now() < began + 400) {
    received += 1_000
    await idle()
  }
  const stopped = performance.now()
  const isSettled = await Promise.race([first, Promise.resolve('not yet')])
  t.equal(isSettled, 'not yet')
  t.ok(isTimeout(await first))
  t.ok(performance.now() - stopped >= 20)
})
