import { inspect } from 'node:util'
import t from 'tap'
import { arrivalOf, connectsOf, StreamArrival } from '../../lib/handshake/stream-arrival.ts'

const mark = { count: 0, at: 0 }

t.test('what a request brought is taken once, and shown to no log', async (t) => {
  const raw = { url: '/connection/sse?cf_connect=%7Bsecret', headers: {}, rawHeaders: [] }
  const arrival = new StreamArrival(raw as never, mark)
  t.equal(raw.url, '/connection/sse?cf_connect=redacted')
  t.notMatch(inspect(raw, { depth: 9 }), /secret/)
  const request = { raw, query: {} } as never
  t.equal(
    arrivalOf(request, () => mark),
    arrival
  )
  t.same(connectsOf(request), ['{secret'])
  t.same(connectsOf(request), [])
})

t.test('a request that did not pass the gate', async (t) => {
  const raw = { url: '/connection/sse?cf_connect=x', headers: {}, rawHeaders: [] }
  const query = { cf_connect: 'x' }
  const request = { raw, query } as never
  arrivalOf(request, () => mark)
  t.same(query, { cf_connect: 'redacted' })
  t.same(connectsOf(request), ['x'])
  const plain = { raw: { url: '/', headers: {}, rawHeaders: [] }, query: {} } as never
  arrivalOf(plain, () => mark)
  t.same(connectsOf(plain), [])
})
