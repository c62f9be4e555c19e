import t from 'tap'
import { andThen, fromCallback, isPromise } from '../../lib/input/eventual.ts'

t.test('a promise is what has a method then', async (t) => {
  const having = (then: unknown) => Object.fromEntries([['then', then]])
  for (const promise of [Promise.resolve(), having(() => {})]) t.equal(isPromise(promise), true)
  for (const other of [undefined, null, 0, '', {}, having(true), () => {}]) t.equal(isPromise(other), false)
})

t.test('what is there is used at once, what is promised later', async (t) => {
  t.equal(
    andThen(1, (value) => value + 1),
    2
  )
  const later = andThen(Promise.resolve(1), (value) => value + 1)
  t.equal(isPromise(later), true)
  t.equal(await later, 2)
  t.throws(
    () =>
      andThen(1, () => {
        throw new Error('at once')
      }),
    { message: 'at once' }
  )
  const failing = andThen(Promise.resolve(1), () => {
    throw new Error('later')
  })
  await t.rejects(async () => failing, { message: 'later' })
})

t.test('a call that calls back at once has its result at once', async (t) => {
  t.equal(
    fromCallback((done) => done(null, 1)),
    1
  )
  t.equal(
    fromCallback((done) => done(undefined)),
    undefined
  )
  t.throws(() => fromCallback((done) => done(new Error('at once'))), { message: 'at once' })
})

t.test('a call that calls back later gives a promise', async (t) => {
  t.equal(await fromCallback((done) => setImmediate(done, null, 1)), 1)
  await t.rejects(async () => fromCallback((done) => setImmediate(done, new Error('later'))), { message: 'later' })
})

t.test('a promise with a poor method then is waited for all the same', async (t) => {
  const having = (then: unknown) => Object.fromEntries([['then', then]])
  const good = having((resolve: (value: number) => void) => void setImmediate(resolve, 1))
  t.equal(await andThen<number, number>(good as never, (value: number) => value + 1), 2)
  const bad = having((_: unknown, reject: (error: Error) => void) => void setImmediate(reject, new Error('later')))
  await t.rejects(async () => andThen(bad, () => t.fail('it was rejected')), { message: 'later' })
})
