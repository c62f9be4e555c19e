import type { Subscription } from 'centrifuge'
import fc from 'fast-check'
import t from 'tap'
import { testToken } from '../../lib/testing/index.ts'
import { buildApp } from '../support/app.ts'
import { centrifuge, endpointOf, next, record } from '../support/centrifuge.ts'

/* The published client with deltas, against one process. */

const history = { size: 1_000, ttl: 60_000 }
const LONG = Array.from({ length: 60 }, (_, n) => `${n * 7919}`).join(' ')
const FOSSIL = { delta: 'fossil' } as const

async function stage(t: { teardown(fn: () => unknown): void }) {
  const { app } = await buildApp(t)
  app.channel('texts/:room', { onSubscribe: true, onPublish: true, history, delta: true })
  app.channel('live/:room', { onSubscribe: true, onPublish: true, delta: true, joinLeave: true, echo: false })
  app.channel('plain/:room', { onSubscribe: true, history })
  app.channel('limited/:room', {
    onSubscribe: () => ({ filter: { key: 'k', cmp: 'nex' } }),
    history,
    delta: true
  })
  const url = await endpointOf(app)
  const client = (sub: string) => {
    const made = centrifuge(t, url, { token: testToken({ sub }) })
    made.connect()
    return made
  }
  return { app, client }
}

function stats(subscription: Subscription): [whole: number, deltas: number] {
  const { numFullPayloads, numDeltaPayloads } = subscription.deltaStats()
  return [numFullPayloads, numDeltaPayloads]
}

t.test('a text that grows: whole once, then what was added', async (t) => {
  const { app, client } = await stage(t)
  const subscription = client('ada').newSubscription('texts/1', FOSSIL)
  const other = client('bob').newSubscription('texts/1')
  const [heard, plain] = [record(subscription), record(other)]
  for (const one of [subscription, other]) {
    one.subscribe()
    await one.ready()
  }
  const texts = Array.from({ length: 20 }, (_, n) => ({ text: `${LONG}${'é'.repeat(n)}` }))
  for (const text of texts) await app.realtime.publish('texts/1', text)
  t.same(await heard.upTo(20), texts)
  t.same(await plain.upTo(20), texts)
  t.same(stats(subscription), [1, 19])
  const { bytesReceived, bytesDecoded } = subscription.deltaStats()
  t.ok(bytesReceived < bytesDecoded / 4, `${bytesReceived} of ${bytesDecoded}`)
})

t.test('whole after a recovery, and what was recovered too', async (t) => {
  const { app, client } = await stage(t)
  const ada = client('ada')
  const subscription = ada.newSubscription('texts/1', FOSSIL)
  const heard = record(subscription)
  subscription.subscribe()
  await subscription.ready()
  let n = 0
  const publish = async (count: number) => {
    for (let more = 0; more < count; more++) await app.realtime.publish('texts/1', `${LONG} ${n++}`)
  }
  await publish(3)
  await heard.upTo(3)
  t.same(stats(subscription), [1, 2])
  const again = next(subscription, 'subscribed')
  await app.realtime.disconnect({ user: 'ada' }, { code: 3000, reason: 'again' })
  await publish(3)
  t.match(await again, { recovered: true })
  await publish(2)
  await heard.upTo(8)
  t.same(
    heard.data,
    Array.from({ length: 8 }, (_, at) => `${LONG} ${at}`)
  )
  const [whole, deltas] = stats(subscription)
  t.equal(whole + deltas, 8)
  t.ok(whole >= 2 && deltas >= 3, `${whole} whole, ${deltas} deltas`)
  const { publications } = await subscription.history({ limit: 10 })
  t.same(
    publications.map(({ data }) => data),
    heard.data,
    'the command history gives values'
  )
})

t.test('case 177: the plain form where the channel has no deltas, or the application filters', async (t) => {
  const { app, client } = await stage(t)
  for (const channel of ['plain/1', 'limited/1']) {
    const subscription = client('ada').newSubscription(channel, FOSSIL)
    const heard = record(subscription)
    subscription.subscribe()
    await subscription.ready()
    await app.realtime.publish(channel, { text: LONG })
    await app.realtime.publish(channel, { text: LONG })
    t.same(await heard.upTo(2), [{ text: LONG }, { text: LONG }])
    t.same(stats(subscription), [0, 0])
  }
})

t.test('without history, with joins, and without its own: who publishes gets the next one whole', async (t) => {
  const { client } = await stage(t)
  const subscriptions = ['ada', 'bob'].map((name) =>
    client(name).newSubscription('live/1', { ...FOSSIL, joinLeave: true })
  ) as [Subscription, Subscription]
  const heard = subscriptions.map(record)
  for (const subscription of subscriptions) {
    subscription.subscribe()
    await subscription.ready()
  }
  const [ada, bob] = subscriptions
  for (let n = 0; n < 3; n++) {
    await ada.publish(`${LONG} ada ${n}`)
    await bob.publish(`${LONG} bob ${n}`)
  }
  t.same(
    await heard[0]?.upTo(3),
    [0, 1, 2].map((n) => `${LONG} bob ${n}`)
  )
  t.same(
    await heard[1]?.upTo(3),
    [0, 1, 2].map((n) => `${LONG} ada ${n}`)
  )
  t.same(stats(ada), [3, 0])
  await ada.publish(`${LONG} again`)
  await ada.publish(`${LONG} again and again`)
  await heard[1]?.upTo(5)
  t.same(stats(bob), [4, 1])
})

t.test('whatever is published, and wherever connections end, clients have what was published', async (t) => {
  const step = fc.record({
    cut: fc.nat(LONG.length),
    more: fc.constantFrom('', 'x', 'ж', '😀', '"\\\n'),
    ends: fc.constantFrom(false, false, false, true)
  })
  const runs = fc.sample(fc.array(step, { minLength: 5, maxLength: 40 }), { seed: 1, numRuns: 6 })
  for (const [run, steps] of runs.entries()) {
    const { app, client } = await stage(t)
    const subscription = client('ada').newSubscription('texts/1', FOSSIL)
    const heard = record(subscription)
    subscription.subscribe()
    await subscription.ready()
    const published: string[] = []
    for (const { cut, more, ends } of steps) {
      const text = `${LONG.slice(cut / 2)}${more}${LONG.slice(cut)}`
      published.push(text)
      await app.realtime.publish('texts/1', text)
      if (ends) await app.realtime.disconnect({ user: 'ada' }, { code: 3000, reason: 'again' })
    }
    t.same(await heard.upTo(published.length), published, `run ${run}`)
  }
})
