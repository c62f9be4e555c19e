import t from 'tap'
import {
  drainingNotice,
  errorMessage,
  errorOf,
  insufficientStateNotice,
  laggingNotice,
  publicationPrefix,
  publicationSuffix,
  subscribedNotice,
  takenNotice,
  unsubscribedNotice,
  visiblePing,
  welcomeNotice
} from '../../lib/protocol/messages.ts'

t.test('errors carry a code, a sentence, and what helps', async (t) => {
  const codes = [
    'invalid_json',
    'invalid_message',
    'unsupported_data',
    'rate_limited',
    'too_deep',
    'unavailable',
    'internal'
  ] as const
  for (const code of codes) {
    t.match(JSON.parse(errorMessage(code)), { error: { code, message: /^[A-Z]/ } })
    t.same(Object.keys(JSON.parse(errorMessage(code)).error), ['code', 'message'])
  }
  t.match(JSON.parse(errorMessage('invalid_message', { issues: [{ a: 1 }] })), { error: { issues: [{ a: 1 }] } })
  t.match(JSON.parse(errorMessage('rate_limited', { retryAfter: 10 })), { error: { retryAfter: 10 } })
})

t.test('notices and pings', async (t) => {
  t.same(JSON.parse(laggingNotice(3)), { notice: { code: 'lagging', dropped: 3 } })
  t.same(JSON.parse(drainingNotice(250)), { notice: { code: 'draining', reconnectAfter: 250 } })
  t.same(JSON.parse(insufficientStateNotice('a"b', 7, 'x')), {
    notice: { code: 'insufficient_state', channel: 'a"b', recovered: false, offset: 7, epoch: 'x' }
  })
  t.same(JSON.parse(visiblePing(1_700_000_000_000)), { ping: 1_700_000_000_000 })
})

t.test('notices to a client that resumes', async (t) => {
  t.same(JSON.parse(welcomeNotice(25_000, true)), { notice: { code: 'welcome', ping: 25_000, queued: true } })
  t.same(JSON.parse(subscribedNotice('a"b', true, 7, 'x')), {
    notice: { code: 'subscribed', channel: 'a"b', recovered: true, offset: 7, epoch: 'x' }
  })
  t.same(JSON.parse(unsubscribedNotice('a"b')), { notice: { code: 'unsubscribed', channel: 'a"b' } })
  t.same(JSON.parse(takenNotice('k"')), { notice: { code: 'taken', key: 'k"' } })
  t.same(JSON.parse(errorMessage('internal')), { error: errorOf('internal') })
})

t.test('a publication is its data between a prefix and a suffix', async (t) => {
  const text = (offset: number, epoch: string) =>
    `${publicationPrefix('a"\u2028')}[1]${publicationSuffix(offset, epoch)}`
  t.same(JSON.parse(text(4, 'e"')), { channel: 'a"\u2028', data: [1], offset: 4, epoch: 'e"' })
  t.same(JSON.parse(text(0, '')), { channel: 'a"\u2028', data: [1] }, 'without a position where it has none')
})
