import { setImmediate as nextTurn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { RedisLink } from '../../../lib/broker/redis/link.ts'
import { chance } from '../../support/chance.ts'
import { pending } from '../../support/pending.ts'
import { fakeTimers } from '../../support/timers.ts'
import { FakeClient, said } from './fake-client.ts'

const ATTEMPT = 5_000
const FIRST = 100
const MOST = 400

/** A link whose clients come from `clients`, one after another; past them, of ones that work. */
function makeLink(...clients: FakeClient[]) {
  const made: FakeClient[] = []
  const told: unknown[] = []
  const failures: string[] = []
  const link: RedisLink = new RedisLink({
    create: () => {
      const client = clients.shift() ?? new FakeClient()
      made.push(client)
      return client.asRedis
    },
    prepare: async (client) => void (await client.info('prepare')),
    adopt: (client) => told.push(['adopt', made.indexOf(client as never), link.client === client]),
    lost: (error) => told.push(['lost', (error as Error).message]),
    failed: (error) => failures.push((error as Error).message),
    isFatal: (error) => (error as Error).message === 'fatal',
    attemptTimeout: ATTEMPT,
    reconnectDelay: [FIRST, MOST]
  })
  return { link, made, told, failures }
}

function rig(t: Test, ...clients: FakeClient[]) {
  const { pass } = fakeTimers(t)
  const { link, made, told, failures } = makeLink(...clients)
  t.teardown(() => link.close())
  return { link, made, told, failures, pass }
}

/** A client that the server turns away. */
function refusing(message: string, command = 'connect'): FakeClient {
  const client = new FakeClient()
  client.answers[command] = () => Promise.reject(new Error(message))
  return client
}

t.test('a client comes into use once it is connected and prepared', async (t) => {
  const client = new FakeClient()
  const prepared = pending()
  client.answers.info = () => prepared.promise
  const { link, told } = rig(t, client)
  const started = link.start()
  await nextTurn()
  t.strictSame(client.calls, ['connect', 'info prepare'])
  t.equal(link.client, undefined)
  t.strictSame(told, [])
  prepared.resolve()
  await started
  t.equal(link.client, client)
  t.strictSame(told, [['adopt', 0, true]])
})

t.test('what can’t be reached is told of once, and tried again after twice as long each time', async (t) => {
  const { link, made, told, failures, pass } = rig(
    t,
    refusing('a'),
    refusing('b', 'info'),
    refusing('c'),
    refusing('d')
  )
  const started = link.start()
  await nextTurn()
  t.strictSame(told, [['lost', 'a']])
  for (const wait of [FIRST, 2 * FIRST, MOST, MOST]) {
    const before = made.length
    await pass(wait / 2 - 1)
    t.equal(made.length, before, 'never before half of the time')
    await pass(wait / 2 + 1)
    t.equal(made.length, before + 1, `after ${wait} ms at most`)
  }
  await started
  t.strictSame(told, [
    ['lost', 'a'],
    ['adopt', 4, true]
  ])
  t.strictSame(failures, ['a', 'b', 'c', 'd'])
  for (const client of made.slice(0, 4)) t.ok(client.calls.includes('disconnect'), 'nothing is left open')
})

t.test('half of the wait is by chance', async (t) => {
  chance(t, 0.99)
  const { made, link, pass } = rig(t, refusing('away'))
  void link.start()
  await pass(FIRST * 0.99)
  t.equal(made.length, 1)
  await pass(FIRST * 0.01)
  t.equal(made.length, 2)
})

t.test('each loss is told', async (t) => {
  const { link, made, told, pass } = rig(t, new FakeClient(), refusing('once'), new FakeClient(), refusing('twice'))
  await link.start()
  for (const client of [0, 2]) {
    made[client]?.end()
    await pass(FIRST)
  }
  t.strictSame(told, [
    ['adopt', 0, true],
    ['lost', 'Connection is closed.'],
    ['adopt', 2, true],
    ['lost', 'Connection is closed.'],
    ['adopt', 4, true]
  ])
})

t.test('an error that nothing mends ends the start', async (t) => {
  const { link, told } = rig(t, refusing('fatal'))
  await t.rejects(link.start(), { message: 'fatal' })
  t.strictSame(told, [])
})

t.test('later it is no reason to give up', async (t) => {
  const { link, made, told, pass } = rig(t, new FakeClient(), refusing('fatal'))
  await link.start()
  made[0]?.end()
  await nextTurn()
  await pass(FIRST)
  t.equal(link.client, made[2])
  t.strictSame(told, [
    ['adopt', 0, true],
    ['lost', 'Connection is closed.'],
    ['adopt', 2, true]
  ])
})

t.test('what the client tells of says more than what its promise rejects with', async (t) => {
  const client = new FakeClient()
  client.answers.connect = () => {
    client.emit('error', new Error('ECONNREFUSED'))
    client.emit('error', new Error('and so on'))
    throw new Error('Connection is closed.')
  }
  const { link, told } = rig(t, client)
  void link.start()
  await nextTurn()
  t.strictSame(told, [['lost', 'ECONNREFUSED']])
})

t.test('an attempt that never ends is given up', async (t) => {
  const silent = new FakeClient()
  silent.answers.connect = () => pending().promise
  const { link, made, told, pass } = rig(t, silent)
  const started = link.start()
  await pass(ATTEMPT - 1)
  t.strictSame(told, [])
  await pass(1)
  t.strictSame(told, [['lost', 'Command timed out']])
  t.ok(silent.calls.includes('disconnect'))
  await pass(FIRST)
  await started
  t.equal(link.client, made[1])
})

t.test('so is one whose connection ends before it is ready', async (t) => {
  const client = new FakeClient()
  client.answers.info = () => {
    client.end()
    return pending().promise
  }
  const { link, told, pass } = rig(t, client)
  const started = link.start()
  await nextTurn()
  t.strictSame(told, [['lost', 'Connection is closed.']])
  await pass(FIRST)
  await started
})

t.test('a client that is replaced stays in use until its successor is ready', async (t) => {
  const successor = new FakeClient()
  const prepared = pending()
  successor.answers.info = () => prepared.promise
  const { link, made, told } = rig(t, new FakeClient(), successor)
  await link.start()
  const [first] = made as [FakeClient]
  link.replace()
  link.replace()
  await nextTurn()
  t.equal(made.length, 2, 'one successor, however often it is asked for')
  t.equal(link.client, first)
  prepared.resolve()
  await nextTurn()
  t.equal(link.client, successor)
  t.ok(first.calls.includes('disconnect'))
  await nextTurn()
  t.equal(first.ended, true)
  t.strictSame(
    told,
    [
      ['adopt', 0, true],
      ['adopt', 1, true]
    ],
    'its end is no loss'
  )
  link.replace()
  await nextTurn()
  t.equal(link.client, made[2], 'and may be replaced itself')
})

t.test('where the successor can’t be had, the client in use is given up', async (t) => {
  const { link, made, told, pass } = rig(t, new FakeClient(), refusing('away'))
  await link.start()
  link.replace()
  await nextTurn()
  t.equal(link.client, undefined)
  t.ok(made[0]?.calls.includes('disconnect'), 'the server that it speaks to may be the wrong one')
  await pass(FIRST)
  t.strictSame(told, [
    ['adopt', 0, true],
    ['lost', 'away'],
    ['adopt', 2, true]
  ])
})

t.test('one that ends while its successor is made: lost once, and no second successor', async (t) => {
  const successor = new FakeClient()
  const prepared = pending()
  successor.answers.info = () => prepared.promise
  const { link, made, told } = rig(t, new FakeClient(), successor)
  await link.start()
  link.replace()
  made[0]?.end()
  await nextTurn()
  t.equal(link.client, undefined)
  prepared.resolve()
  await nextTurn()
  t.strictSame(told, [
    ['adopt', 0, true],
    ['lost', 'Connection is closed.'],
    ['adopt', 1, true]
  ])
  t.equal(made.length, 2)
})

t.test('closing ends everything', async (t) => {
  await t.test('in use', async (t) => {
    const { link, made, told } = rig(t)
    await link.start()
    link.close()
    t.equal(link.client, undefined)
    await nextTurn()
    t.equal(made[0]?.ended, true)
    t.equal(made.length, 1, 'and nothing is made any more')
    t.strictSame(told, [['adopt', 0, true]], 'nor told')
  })

  await t.test('in the middle of an attempt', async (t) => {
    const silent = new FakeClient()
    silent.answers.connect = () => pending().promise
    const { link, made } = rig(t, silent)
    const started = link.start()
    await nextTurn()
    link.close()
    await started
    t.equal(silent.ended, true)
    t.equal(link.client, undefined)
    t.equal(made.length, 1)
  })

  await t.test('at whichever step of a start', async (t) => {
    // A client that had become ready, and wasn't in use yet, stayed open for ever: one step of these is that moment.
    const STEPS = 20
    for (let steps = 0; steps <= STEPS; steps++) {
      const { link, made, told } = makeLink()
      const started = link.start()
      for (let step = 0; step < steps; step++) await Promise.resolve()
      link.close()
      await started
      await nextTurn()
      await nextTurn()
      t.ok(
        made.every(({ ended }) => ended),
        `after ${steps} steps`
      )
      if (steps === 0) t.strictSame(told, [])
      if (steps === STEPS) t.strictSame(told, [['adopt', 0, true]], 'the last was in use')
    }
  })

  await t.test('between two attempts', async (t) => {
    const { link, made } = rig(t, refusing('away'))
    const started = link.start()
    await nextTurn()
    link.close()
    await started
    t.equal(made.length, 1)
  })
})

t.test('an error that comes when nobody waits is heard', async (t) => {
  const { link, made } = rig(t)
  await link.start()
  t.doesNotThrow(() => made[0]?.emit('error', said('ERR whatever')), 'without a listener it would end the process')
})
