import t from 'tap'
import { absolute, watchPage } from '../../lib/client/page.ts'

/* How the client reacts to these events: connect.test.ts. */

const globals = globalThis as {
  document?: EventTarget & { visibilityState?: string }
  location?: { href: string }
  addEventListener?: unknown
  removeEventListener?: unknown
}

t.test('each event of the page is one of two, until the end', async (t) => {
  const window = new EventTarget()
  const document: EventTarget & { visibilityState?: string } = new EventTarget()
  const { addEventListener, removeEventListener } = globals
  globals.addEventListener = window.addEventListener.bind(window)
  globals.removeEventListener = window.removeEventListener.bind(window)
  globals.document = document
  t.teardown(() => {
    Object.assign(globals, { addEventListener, removeEventListener })
    delete globals.document
  })
  const seen: string[] = []
  const end = watchPage(
    () => seen.push('wake'),
    () => seen.push('offline')
  )
  const happen = () => {
    for (const name of ['online', 'pageshow', 'offline', 'storage']) window.dispatchEvent(new Event(name))
    for (const state of ['hidden', 'visible']) {
      document.visibilityState = state
      document.dispatchEvent(new Event('visibilitychange'))
    }
  }
  happen()
  t.same(seen, ['wake', 'wake', 'offline', 'wake'])
  end()
  happen()
  t.equal(seen.length, 4)
})

t.test('a platform without such events is none to watch', async (t) => {
  const { addEventListener, removeEventListener } = globals
  t.teardown(() => Object.assign(globals, { addEventListener, removeEventListener }))
  Object.assign(globals, { addEventListener: undefined, removeEventListener: undefined })
  const end = watchPage(t.fail, t.fail)
  t.doesNotThrow(end)
})

t.test('addresses', async (t) => {
  t.equal(absolute('https://a/b?c'), 'wss://a/b?c')
  t.equal(absolute('ws://a/b'), 'ws://a/b')
  t.equal(absolute('/live'), '/live', 'there is no page to be relative to')
  globals.location = { href: 'http://example.com/app/page' }
  t.teardown(() => {
    delete globals.location
  })
  t.same([absolute('/live'), absolute('live')], ['ws://example.com/live', 'ws://example.com/app/live'])
})
