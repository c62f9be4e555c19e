import type { FilterNode, PublicationContext, Subscription } from 'centrifuge'
import fc from 'fast-check'
import t from 'tap'
import { compileFilter } from '../../lib/protocol/tags-filter.ts'
import { testToken } from '../../lib/testing/index.ts'
import { buildApp } from '../support/app.ts'
import { centrifuge, endpointOf, next, record } from '../support/centrifuge.ts'

/* The published client with filters by tags, against one process. */

const history = { size: 1_000, ttl: 60_000 }
const BTC: FilterNode = { key: 'ticker', cmp: 'eq', val: 'BTC' }
const EUROPE = { key: 'region', cmp: 'eq', val: 'eu' } as const

async function stage(t: { teardown(fn: () => unknown): void }) {
  const subscriptions = [{ channel: 'limited/server', filter: EUROPE }, 'limited/all']
  const { app, logs } = await buildApp(t, { channels: { onConnect: () => ({ subscriptions }) } })
  app.channel('prices/:id', { onSubscribe: true, history, filters: true })
  app.channel('live/:id', { onSubscribe: true, filters: true, onPublish: () => ({ tags: { ticker: 'BTC' } }) })
  app.channel('limited/:id', { onSubscribe: () => ({ filter: EUROPE }), history, filters: true })
  app.channel('plain/:id', { onSubscribe: true, history })
  app.channel('broken/:id', { onSubscribe: () => ({ filter: { key: 'k', cmp: 'is' } as never }) })
  const url = await endpointOf(app)
  const client = (sub: string) => {
    const made = centrifuge(t, url, { token: testToken({ sub }) })
    made.connect()
    return made
  }
  return { app, client, logs }
}

async function subscribed(subscription: Subscription) {
  const heard = record(subscription)
  subscription.subscribe()
  await subscription.ready()
  return heard
}

t.test('a client receives what passes its filter, with the tags', async (t) => {
  const { app, client } = await stage(t)
  const ada = client('ada')
  const filtered = ada.newSubscription('prices/1', { tagsFilter: BTC })
  const contexts: PublicationContext[] = []
  filtered.on('publication', (context) => contexts.push(context))
  const heard = await subscribed(filtered)
  const all = await subscribed(client('bob').newSubscription('prices/1'))
  await app.realtime.publish('prices/1', 1, { tags: { ticker: 'BTC', region: 'eu' } })
  await app.realtime.publish('prices/1', 2, { tags: { ticker: 'ETH' } })
  await app.realtime.publish('prices/1', 3)
  await app.realtime.publish('prices/1', 4, { tags: { ticker: 'BTC' } })
  t.same(await all.upTo(4), [1, 2, 3, 4])
  t.same(await heard.upTo(2), [1, 4])
  t.match(contexts, [
    { offset: 1, tags: { ticker: 'BTC', region: 'eu' } },
    { offset: 4, tags: { ticker: 'BTC' } }
  ])
  const live = await subscribed(ada.newSubscription('live/1', { tagsFilter: BTC }))
  await ada.publish('live/1', 5)
  await app.realtime.publish('live/1', 6)
  await ada.publish('live/1', 7)
  t.same(await live.upTo(2), [5, 7], 'onPublish gives the tags of what clients publish')
})

t.test('what was filtered out while a client was away is no gap', async (t) => {
  const { app, client } = await stage(t)
  const subscription = client('ada').newSubscription('prices/1', { tagsFilter: BTC })
  const heard = await subscribed(subscription)
  const publish = async (...numbers: number[]) => {
    for (const n of numbers)
      await app.realtime.publish('prices/1', n, { tags: { ticker: n % 3 === 0 ? 'BTC' : 'ETH' } })
  }
  await publish(1, 2, 3, 4, 5)
  await heard.upTo(1)
  let again = next(subscription, 'subscribed')
  await app.realtime.disconnect({ user: 'ada' }, { code: 3000, reason: 'again' })
  await publish(6, 7, 8)
  t.match(await again, { recovered: true })
  await publish(9)
  t.same(await heard.upTo(3), [3, 6, 9])
  again = next(subscription, 'subscribed')
  await app.realtime.disconnect({ user: 'ada' }, { code: 3000, reason: 'again' })
  await publish(10, 11)
  t.match(await again, { recovered: true })
  await publish(12)
  t.same(await heard.upTo(4), [3, 6, 9, 12])
})

t.test("the application's filter cannot be widened, nor passed by a recovery, history or the server", async (t) => {
  const { app, client } = await stage(t)
  const ada = client('ada')
  const connected = next(ada, 'connected')
  const byServer: [string, unknown][] = []
  ada.on('publication', ({ channel, data }) => byServer.push([channel, data]))
  await connected
  const all = {
    op: 'or',
    nodes: [
      { key: 'region', cmp: 'nex' },
      { key: 'region', cmp: 'ex' }
    ]
  } as FilterNode
  const subscription = ada.newSubscription('limited/1', { tagsFilter: all })
  const heard = await subscribed(subscription)
  const narrow = await subscribed(client('bob').newSubscription('limited/1', { tagsFilter: BTC }))
  const publish = async (channel: string, n: number) =>
    app.realtime.publish(channel, n, {
      tags: { region: n % 2 === 0 ? 'eu' : 'us', ticker: n % 4 === 0 ? 'BTC' : 'ETH' }
    })
  for (let n = 1; n <= 4; n++) await publish('limited/1', n)
  t.same(await heard.upTo(2), [2, 4])
  t.same(await narrow.upTo(1), [4])
  const again = next(subscription, 'subscribed')
  await app.realtime.disconnect({ user: 'ada' }, { code: 3000, reason: 'again' })
  for (let n = 5; n <= 8; n++) await publish('limited/1', n)
  t.match(await again, { recovered: true })
  t.same(await heard.upTo(4), [2, 4, 6, 8])
  const pages = async (options: object) =>
    (await subscription.history(options as never)).publications.map(({ data }) => data)
  t.same(await pages({ limit: 10 }), [2, 4, 6, 8])
  t.same(await pages({ limit: 3 }), [2, 4, 6], 'a page is filled from what follows')
  t.same(await pages({ limit: 1, reverse: true }), [8])
  t.same(await pages({ limit: 0 }), [])
  for (let n = 1; n <= 4; n++) {
    await publish('limited/server', n)
    await publish('limited/all', n)
  }
  await publish('limited/all', 10)
  while (!byServer.some((one) => JSON.stringify(one) === '["limited/all",10]')) await next(ada, 'publication')
  const of = (name: string) => byServer.flatMap(([channel, data]) => (channel === name ? [data] : []))
  t.same(of('limited/server'), [2, 4])
  t.same(of('limited/all'), [1, 2, 3, 4, 10])
})

t.test('a subscription that the server makes for a connected client may have a filter', async (t) => {
  const { app, client } = await stage(t)
  const ada = client('ada')
  await next(ada, 'connected')
  const made = next<{ channel: string }>(ada, 'subscribed')
  await app.realtime.subscribe({ user: 'ada' }, 'limited/2', { filter: EUROPE })
  t.equal((await made).channel, 'limited/2')
  const data: unknown[] = []
  ada.on('publication', ({ data: one }) => data.push(one))
  for (const [n, region] of ['us', 'eu', 'us', 'eu'].entries()) {
    const publication = next(ada, 'publication')
    await app.realtime.publish('limited/2', n, { tags: { region } })
    if (region === 'eu') await publication
  }
  t.same(data, [1, 3])
  const filter = { key: 'region', cmp: 'is' } as never
  await t.rejects(app.realtime.subscribe({ user: 'ada' }, 'limited/3', { filter }), { code: 'FST_RT_INVALID_ARGUMENT' })
})

t.test('case 177: a filter that the channel does not take, or that is none, is refused', async (t) => {
  const { client, logs } = await stage(t)
  const ada = client('ada')
  const refused = async (channel: string, tagsFilter?: FilterNode) => {
    const subscription = ada.newSubscription(channel, tagsFilter && { tagsFilter })
    subscription.subscribe()
    const { code } = await next<{ code: number }>(subscription, 'unsubscribed')
    ada.removeSubscription(subscription)
    return code
  }
  t.equal(await refused('plain/1', BTC), 107)
  t.equal(await refused('prices/1', { key: 'k', cmp: 'is' as never, val: 'x' }), 107)
  const broken = ada.newSubscription('broken/1')
  broken.subscribe()
  t.match(await next(broken, 'error'), { error: { code: 100 } }, "the application's mistake")
  t.match(
    logs.find(({ msg }) => msg === 'channel command failed'),
    { err: { message: /^The filter is not valid: / } }
  )
})

t.test('any filter, with connections that end: what passes, in order, nothing lost, nothing doubled', async (t) => {
  const leaf = fc.record({
    key: fc.constantFrom('a', 'b'),
    cmp: fc.constantFrom('eq', 'neq', 'gt', 'lte'),
    val: fc.constantFrom('1', '2')
  })
  const filter = fc.oneof(
    leaf,
    fc.record({ op: fc.constantFrom('and', 'or'), nodes: fc.array(leaf, { minLength: 1, maxLength: 3 }) })
  ) as fc.Arbitrary<FilterNode>
  const tags = fc.dictionary(fc.constantFrom('a', 'b'), fc.constantFrom('0', '1', '2', '3'))
  const step = fc.record({ tags, ends: fc.constantFrom(false, false, false, true) })
  const runs = fc.sample(fc.tuple(filter, fc.array(step, { minLength: 10, maxLength: 40 })), { seed: 1, numRuns: 6 })
  for (const [run, [tagsFilter, steps]] of runs.entries()) {
    const { app, client } = await stage(t)
    const heard = await subscribed(client('ada').newSubscription('prices/1', { tagsFilter }))
    const passes = compileFilter(tagsFilter)
    const expected: number[] = []
    for (const [n, { tags, ends }] of steps.entries()) {
      if (passes(new Map(Object.entries(tags)))) expected.push(n)
      await app.realtime.publish('prices/1', n, { tags })
      if (ends) await app.realtime.disconnect({ user: 'ada' }, { code: 3000, reason: 'again' })
    }
    t.same(await heard.upTo(expected.length), expected, `run ${run}: ${JSON.stringify(tagsFilter)}`)
  }
})
