import t from 'tap'
import { Resumption } from '../../lib/socket/resumption.ts'

const since = Buffer.from('{"a":[7,"e"]}').toString('base64url')

t.test('a position is used once', async (t) => {
  const resumption = Resumption.from(`/live?x=1&since=${since}`, 128)
  t.same(resumption?.take('a'), { offset: 7, epoch: 'e' })
  t.equal(resumption?.take('a'), undefined)
  t.equal(resumption?.take('b'), undefined)
})

t.test('a subscription begins once, until it ends', async (t) => {
  const resumption = Resumption.from(`/live?since=${since}`, 128) as Resumption
  t.same([resumption.begin('a'), resumption.begin('a'), resumption.begin('b')], [true, false, true])
  resumption.end('a')
  t.same([resumption.begin('a'), resumption.begin('b')], [true, false])
})

t.test('a client that gives no positions does not resume', async (t) => {
  for (const url of [
    '/live',
    '/since=',
    '/live?a=1',
    '/live?since=',
    '/live?since=epoch:7',
    `/live?other-since=${since}`
  ]) {
    t.equal(Resumption.from(url, 128), undefined, url)
  }
})

t.test('case 146: no more positions are kept than there may be subscriptions', async (t) => {
  const many = Buffer.from('{"a":[7,"e"],"b":[8,"e"],"c":[9,"e"]}').toString('base64url')
  const resumption = Resumption.from(`/live?since=${many}`, 2)
  t.same(
    ['a', 'b', 'c'].map((channel) => resumption?.take(channel)?.offset),
    [7, 8, undefined]
  )
})
