import type { FastifyRequest } from 'fastify'
import t from 'tap'
import { RequestView } from '../../lib/handshake/request-view.ts'

class Request {
  user: unknown = null
  headers: Record<string, string> = { cookie: 'a=b' }
  readonly #secret = 'own'
  get secret() {
    return this.#secret
  }
  who() {
    return this.user
  }
}
const make = (token?: string) => {
  const request = new Request()
  const view = new RequestView(request as unknown as FastifyRequest, token)
  return { request, view, seen: view.request as unknown as Request & Record<string, unknown> }
}

t.test('what is written to a view does not reach the request before it is adopted', async (t) => {
  const { request, view, seen } = make()
  seen.user = 'ada'
  seen.session = 7
  t.strictSame([seen.user, seen.session], ['ada', 7])
  t.equal(seen.who(), 'ada', 'to methods too')
  t.equal(request.user, null)
  t.notOk('session' in request)
  view.adopt('user', 'the claims')
  t.match(request, { user: 'ada', session: 7 }, 'what the verifier wrote counts more')
})

t.test('the user is written by the adoption, unless the verifier has done it', async (t) => {
  const { request, view } = make()
  view.adopt('user', 'the claims')
  t.equal(request.user, 'the claims')
})

t.test('the token stands in the header of the view alone, for good', async (t) => {
  const { request, view, seen } = make('t')
  t.strictSame(seen.headers, { cookie: 'a=b', authorization: 'Bearer t' })
  t.strictSame(request.headers, { cookie: 'a=b' })
  view.adopt('user', 'ada')
  t.strictSame(request.headers, { cookie: 'a=b' })
  t.equal(make().seen.headers.cookie, 'a=b', 'without a token the headers are the request’s')
})

t.test('everything else is the request’s own', async (t) => {
  const { request, seen } = make()
  t.equal(seen.secret, 'own')
  request.user = 'later'
  t.equal(seen.user, 'later')
  t.ok('user' in seen)
})
