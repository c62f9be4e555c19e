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

t.test('getState, as docs/channels.md has it: a change between loading and subscribing is not missed', async (t) => {
  interface Task {
    readonly id: number
    readonly text: string
  }
  const { app } = await buildApp(t)
  const table = new Map<number, Task>()
  app.channel('tasks/:list', { onSubscribe: true, history: { size: 1000, ttl: 600_000 } })
  app.get('/lists/:list', async (request) => {
    const channel = app.channelName('tasks/:list', request.params as { list: string })
    const { offset, epoch } = await app.realtime.history(channel, { limit: 0 })
    return { tasks: [...table.values()], offset, epoch }
  })
  app.post('/lists/:list', async (request) => {
    const channel = app.channelName('tasks/:list', request.params as { list: string })
    const task = request.body as Task
    table.set(task.id, task)
    return app.realtime.publish(channel, task)
  })
  const url = await endpointOf(app)
  const list = new URL('/lists/1', url.replace('ws', 'http'))
  const change = async (id: number, text: string) => {
    const headers = { 'content-type': 'application/json' }
    await (await fetch(list, { method: 'POST', headers, body: JSON.stringify({ id, text }) })).json()
  }
  const client = centrifuge(t, url, { token: testToken({ sub: 'ada' }) })
  client.connect()
  await change(1, 'loaded')

  const tasks = new Map<number, Task>()
  let loads = 0
  const subscription = client.newSubscription('tasks/1', {
    getState: async () => {
      const state = (await (await fetch(list)).json()) as { tasks: Task[]; offset: number; epoch: string }
      loads++
      tasks.clear()
      for (const task of state.tasks) tasks.set(task.id, task)
      // The race: these changes are in no state that was loaded, and the client is not subscribed yet.
      await change(1, `changed ${loads}`)
      await change(10 + loads, 'added')
      return { offset: state.offset, epoch: state.epoch }
    }
  })
  const heard = record(subscription)
  subscription.on('publication', ({ data }: PublicationContext) => tasks.set((data as Task).id, data as Task))
  subscription.subscribe()
  await subscription.ready()
  await change(2, 'live')
  await heard.upTo(3)
  t.strictSame(tasks, table)
  t.equal(loads, 1)

  // A reconnect recovers, and loads nothing.
  let again = next(subscription, 'subscribed')
  await app.realtime.disconnect({ user: 'ada' }, { code: 3000, reason: 'again' })
  await change(3, 'while it was away')
  t.match(await again, { recovered: true })
  await heard.upTo(4)
  t.strictSame(tasks, table)
  t.equal(loads, 1)

  // The position is lost: the state is loaded again.
  again = next(subscription, 'subscribed')
  await app.realtime.disconnect({ user: 'ada' }, { code: 3000, reason: 'again' })
  await app.realtime.removeHistory('tasks/1')
  await again
  await heard.upTo(6)
  t.strictSame(tasks, table)
  t.equal(loads, 2)
})
