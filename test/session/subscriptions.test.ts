import t from 'tap'
import type { Subscription } from '../../lib/session/subscription.ts'
import { Subscriptions } from '../../lib/session/subscriptions.ts'

const make = (channel: string) => ({ channel }) as Subscription

t.test('few or many are found by their channel, in the order in which they came', async (t) => {
  for (const count of [1, 8, 9, 40]) {
    const subscriptions = new Subscriptions()
    const all = Array.from({ length: count }, (_, n) => make(`rooms/${n}`))
    for (const one of all) subscriptions.add(one)
    t.equal(subscriptions.size, count)
    t.strictSame([...subscriptions], all)
    for (const one of all) t.equal(subscriptions.get(one.channel), one)
    t.equal(subscriptions.get('rooms/none'), undefined)
    const last = all.pop() as Subscription
    subscriptions.delete(last)
    t.equal(subscriptions.get(last.channel), undefined)
    t.strictSame([...subscriptions], all)
    t.equal(subscriptions.size, count - 1)
  }
})

t.test('a walk through them meets none twice and misses none, although they end', async (t) => {
  for (const count of [8, 20]) {
    const subscriptions = new Subscriptions()
    for (let n = 0; n < count; n++) subscriptions.add(make(`rooms/${n}`))
    const met: string[] = []
    for (const one of subscriptions) {
      met.push(one.channel)
      subscriptions.delete(one)
    }
    t.equal(new Set(met).size, count)
    t.equal(met.length, count)
    t.equal(subscriptions.size, 0)
  }
})
