import t from 'tap'
import { Resumption } from '../../lib/socket/resumption.ts'

const since = Buffer.from('{"a":[7,"e"]}').toString('base64url')

t.test('a position is used once', async (t) => {
  const resumption = Resumption.from(`/live?x=1&since=${since}`)
  t.same(resumption?.take('a'), { offset: 7, epoch: 'e' })
  t.equal(resumption?.take('a'), undefined)
  t.equal(resumption?.take('b'), undefined)
})

t.test('a subscription begins once, until it ends', async (t) => {
  const resumption = Resumption.from(`/live?since=${since}`) as Resumption
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
    t.equal(Resumption.from(url), undefined, url)
  }
})
