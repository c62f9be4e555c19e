import t from 'tap'
import { ChannelError, ERROR, forbidden, isChannelError } from '../../lib/protocol/channel-errors.ts'

t.test('the codes of the protocol have its words', async (t) => {
  t.same(
    Object.values(ERROR).map(({ code }) => code),
    [100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112]
  )
  t.match(new ChannelError(100), { code: 100, message: 'internal server error', temporary: true, disconnects: false })
  t.match(new ChannelError(103), { code: 103, message: 'permission denied', temporary: false })
  t.match(forbidden('read only'), { code: 103, message: 'read only', name: 'ChannelError' })
})

t.test("an application's own", async (t) => {
  const cause = new Error('why')
  t.match(new ChannelError(400, 'own', { temporary: true, cause }), {
    code: 400,
    message: 'own',
    temporary: true,
    cause
  })
  t.equal(new ChannelError(1999).message, 'error')
  t.ok(new ChannelError(3000).disconnects)
  t.ok(new ChannelError(4999).disconnects)
  for (const code of [99, 2000, 2999, 5000, 100.5, Number.NaN]) t.throws(() => new ChannelError(code), RangeError)
})

t.test('one that was changed into what cannot be sent is none', async (t) => {
  t.ok(isChannelError(forbidden()))
  t.notOk(isChannelError(new Error('x')))
  const changes = [{ code: 99_999 }, { code: Number.NaN }, { message: 1n }]
  for (const change of changes) t.notOk(isChannelError(Object.assign(new ChannelError(400), change)))
})

t.test('what a route answers if its hook throws one', async (t) => {
  const status = (code: number) => new ChannelError(code).statusCode
  t.equal(forbidden().statusCode, 403)
  t.same([100, 101, 102, 103, 104, 105].map(status), [500, 401, 404, 403, 404, 403])
  t.same([106, 107, 108, 109, 110, 111, 112].map(status), [429, 400, 404, 401, 401, 429, 403])
  t.same([400, 1999, 4403].map(status), [403, 403, 403], "an application's own")
})
