import t from 'tap'
import type { Feed } from '../../lib/hub/feed.ts'
import { Subscription } from '../../lib/hub/subscription.ts'

function rig() {
  const given: string[] = []
  const subscriber = {
    outbox: { push: (frame: Buffer) => void given.push(frame.toString()) } as never,
    insufficientState() {}
  }
  const subscription = new Subscription(subscriber, {} as Feed)
  const take = (...offsets: number[]) => {
    for (const offset of offsets) subscription.take({ offset, frame: Buffer.from(`${offset}`) })
  }
  /** What it was given since it was asked last. */
  const news = () => given.splice(0)
  return { subscription, take, news }
}

t.test('what comes is given once, and moves its place', async (t) => {
  const { subscription, take, news } = rig()
  t.match(subscription, { offset: 0, behind: false, buffer: undefined, hole: undefined })
  subscription.offset = 5
  take(4, 5, 6, 6, 7)
  t.same(news(), ['6', '7'])
  t.equal(subscription.offset, 7)
})

t.test('behind a publication that is not for it, it goes on', async (t) => {
  const { subscription, take, news } = rig()
  subscription.take({ offset: 1, frame: undefined })
  t.equal(subscription.offset, 1)
  take(2)
  t.same(news(), ['2'])
})

t.test('while history is read for it everything is kept; what history gave is not given again', async (t) => {
  const { subscription, take, news } = rig()
  subscription.offset = 2
  subscription.buffer = []
  take(4, 5, 6)
  t.same(news(), [])
  t.equal(subscription.offset, 2)
  subscription.give({ offset: 5, frame: Buffer.from('from history') })
  t.same(news(), ['from history'])
  subscription.release()
  t.same(news(), ['6'])
  t.equal(subscription.offset, 6)
  t.equal(subscription.buffer, undefined)
  take(7)
  t.same(news(), ['7'])
})

t.test('one that is behind is served from history later, and takes nothing until then', async (t) => {
  const { subscription, take, news } = rig()
  subscription.behind = true
  take(1)
  subscription.buffer = []
  take(2)
  t.same(subscription.buffer, [])
  t.same(news(), [])
})
