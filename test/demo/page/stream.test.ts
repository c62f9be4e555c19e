import { EventEmitter, once } from 'node:events'
import { test } from 'tap'
import { pageModule } from '../../support/page-module.ts'
import { fakeTimers } from '../../support/timers.ts'

const { Stream } = await pageModule('stream.js')

interface Page {
  readonly publications: readonly object[]
  readonly offset: number
  readonly epoch: string
}

/** A subscription of the client, as far as the stream uses it; its history is answered by the test. */
class FakeSubscription extends EventEmitter {
  readonly asked: ((page: Page | Error) => void)[] = []

  subscribe() {}
  unsubscribe() {}

  history(): Promise<Page> {
    return new Promise((resolve, reject) => {
      this.asked.push((page) => (page instanceof Error ? reject(page) : resolve(page)))
      this.emit('history')
    })
  }
}

const page = (...offsets: number[]): Page => ({
  publications: offsets.map((offset) => ({ offset, data: offset })),
  offset: offsets.at(-1) ?? 0,
  epoch: 'e'
})

function open() {
  const subscription = new FakeSubscription()
  const stream = new Stream({ newSubscription: () => subscription, removeSubscription: () => undefined }, 'board')
  const events: unknown[] = []
  for (const type of ['subscribed', 'reset', 'ready', 'publication', 'ended']) {
    stream.addEventListener(type, ({ detail }: CustomEvent) => {
      if (type === 'publication') events.push(detail.data)
      else events.push(detail ? { [type]: detail.how ?? detail.code } : type)
    })
  }
  const push = (offset: number) => subscription.emit('publication', { offset, data: offset })
  return { subscription, stream, events, push }
}

test('what was missed comes before it is ready', async (t) => {
  const { subscription, stream, events, push } = open()
  const ready = once(stream, 'ready')
  subscription.emit('subscribed', { recovered: true })
  push(1)
  push(2)
  await ready
  push(3)
  t.same(events, ['subscribed', 1, 2, { ready: 'new' }, 3])
})

test('what could not be recovered is read anew, and nothing of it comes twice', async (t) => {
  const { subscription, stream, events, push } = open()
  const ready = once(stream, 'ready')
  subscription.emit('subscribed', { recovered: false })
  push(2)
  push(4)
  subscription.asked[0]?.(page(1, 2, 3))
  await ready
  t.same(events, ['reset', 1, 2, 3, 4, { ready: 'new' }])
})

test('what was read may be ahead of what is pushed', async (t) => {
  const { subscription, stream, events, push } = open()
  const ready = once(stream, 'ready')
  subscription.emit('subscribed', { recovered: false })
  subscription.asked[0]?.(page(1, 2))
  await ready
  push(2)
  push(3)
  t.same(events, ['reset', 1, 2, { ready: 'new' }, 3])
})

test('a reading that is overtaken by another subscribe counts for nothing', async (t) => {
  const { subscription, stream, events } = open()
  subscription.emit('subscribed', { recovered: false })
  subscription.emit('subscribing')
  const ready = once(stream, 'ready')
  // Whatever the client says of its recovery: what the page has is still stale.
  subscription.emit('subscribed', { recovered: true })
  subscription.asked[0]?.(page(1))
  subscription.asked[1]?.(page(5))
  await ready
  t.same(events, ['reset', 5, { ready: 'new' }])
})

test('a long history is read in pages, again where that fails, and the page is told who ended it', async (t) => {
  const { pass } = fakeTimers(t)
  const { subscription, stream, events } = open()
  subscription.emit('subscribed', { recovered: false })
  subscription.asked[0]?.(new Error('timeout'))
  await pass(500)
  t.equal(subscription.asked.length, 2)
  const second = once(subscription, 'history')
  const ready = once(stream, 'ready')
  subscription.asked[1]?.({ ...page(1, 2), offset: 3 })
  await second
  subscription.asked[2]?.(page(3))
  await ready
  subscription.emit('unsubscribed', { code: 0 })
  subscription.emit('unsubscribed', { code: 2500, reason: 'no' })
  t.same(events, ['reset', 1, 2, 3, { ready: 'new' }, { ended: 2500 }])
})
