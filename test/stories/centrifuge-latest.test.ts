import type { PublicationContext } from 'centrifuge'
import t from 'tap'
import { testToken } from '../../lib/testing/index.ts'
import { buildApp } from '../support/app.ts'
import { centrifuge, endpointOf, next, record } from '../support/centrifuge.ts'

/* Channels in which only the newest publication counts, and `getState`, with the published client. */

const state = { history: { size: 1, ttl: 60_000 }, recover: 'latest' } as const

async function stage(t: { teardown(fn: () => unknown): void }) {
  const { app } = await buildApp(t)
  app.channel('states/:id', { onSubscribe: true, ...state })
  app.channel('tagged/:id', { onSubscribe: true, ...state, history: { size: 10, ttl: 60_000 }, filters: true })
  app.channel('deltas/:id', { onSubscribe: true, ...state, delta: true })
  app.channel('streams/:id', { onSubscribe: true, history: { size: 10, ttl: 60_000 } })
  const url = await endpointOf(app)
  const client = (sub: string) => {
    const made = centrifuge(t, url, { token: testToken({ sub }) })
    made.connect()
    return made
  }
  return { app, client }
}

t.test('the newest is given whatever the position was', async (t) => {
  const { app, client } = await stage(t)
  for (let n = 1; n <= 5; n++) await app.realtime.publish('states/1', n)
  const { epoch } = await app.realtime.history('states/1', { limit: 0 })
  const positions = [
    { offset: 0, epoch: '' },
    { offset: 1, epoch },
    { offset: 99, epoch },
    { offset: 3, epoch: 'another' }
  ]
  for (const since of positions) {
    const subscription = client('ada').newSubscription('states/1', { since })
    const heard = record(subscription)
    subscription.subscribe()
    t.match(await next(subscription, 'subscribed'), { recovered: true, streamPosition: { offset: 5, epoch } })
    t.same(await heard.upTo(1), [5], JSON.stringify(since))
  }
  const known = client('ada').newSubscription('states/1', { since: { offset: 5, epoch } })
  const heard = record(known)
  known.subscribe()
  t.match(await next(known, 'subscribed'), { recovered: true })
  await app.realtime.publish('states/1', 6)
  t.same(await heard.upTo(1), [6], 'one that has the newest does not get it again')
})

t.test('after a reconnect: the newest, and all that follow', async (t) => {
  const { app, client } = await stage(t)
  const subscription = client('ada').newSubscription('deltas/1', { delta: 'fossil' })
  const heard = record(subscription)
  subscription.subscribe()
  await subscription.ready()
  await app.realtime.publish('deltas/1', 'first')
  await heard.upTo(1)
  const again = next(subscription, 'subscribed')
  await app.realtime.disconnect({ user: 'ada' }, { code: 3000, reason: 'again' })
  for (const text of ['second', 'third', 'fourth']) await app.realtime.publish('deltas/1', text)
  t.match(await again, { recovered: true })
  await app.realtime.publish('deltas/1', 'fifth')
  const [first, ...rest] = await heard.upTo(3).then(() => heard.data)
  t.equal(first, 'first')
  t.same(rest.slice(-2), ['fourth', 'fifth'])
})

t.test('with a filter: the newest that passes', async (t) => {
  const { app, client } = await stage(t)
  for (let n = 1; n <= 5; n++)
    await app.realtime.publish('tagged/1', n, { tags: { parity: n % 2 === 0 ? 'even' : 'odd' } })
  const tagsFilter = { key: 'parity', cmp: 'eq', val: 'even' } as const
  const subscription = client('ada').newSubscription('tagged/1', { tagsFilter, since: { offset: 0, epoch: '' } })
  const heard = record(subscription)
  subscription.subscribe()
  await subscription.ready()
  await app.realtime.publish('tagged/1', 6, { tags: { parity: 'even' } })
  t.same(await heard.upTo(2), [4, 6])
})

t.test('nothing is kept yet: not recovered, and no refusal', async (t) => {
  const { app, client } = await stage(t)
  const getState = async () => ({ offset: 7, epoch: 'of another time' })
  const subscription = client('ada').newSubscription('states/1', { getState })
  const heard = record(subscription)
  subscription.subscribe()
  t.match(await next(subscription, 'subscribed'), { wasRecovering: true, recovered: false })
  await app.realtime.publish('states/1', 1)
  t.same(await heard.upTo(1), [1])
})

t.test('getState: what is published between loading the state and subscribing is not missed', async (t) => {
  const { app, client } = await stage(t)
  // A counter in a database, and a publication for each change.
  let counter = 0
  const add = async () => app.realtime.publish('streams/1', { counter: ++counter })
  await add()
  const shown: number[] = []
  let loads = 0
  const show = ({ data }: PublicationContext) => shown.push((data as { counter: number }).counter)
  const subscription = client('ada').newSubscription('streams/1', {
    getState: async () => {
      loads++
      const { offset, epoch } = await app.realtime.history('streams/1', { limit: 0 })
      shown.push(counter)
      // Both happen before the client is subscribed.
      await add()
      await add()
      return { offset, epoch }
    }
  })
  subscription.on('publication', show)
  subscription.subscribe()
  await subscription.ready()
  const heard = record(subscription)
  await add()
  await heard.upTo(1)
  t.same(shown, [1, 2, 3, 4])
  t.equal(loads, 1)

  // The position is lost: the state is loaded again.
  const again = next(subscription, 'subscribed')
  await app.realtime.disconnect({ user: 'ada' }, { code: 3000, reason: 'again' })
  await app.realtime.removeHistory('streams/1')
  await again
  t.equal(loads, 2)
  t.same(shown.slice(4), [4, 5, 6])
})
