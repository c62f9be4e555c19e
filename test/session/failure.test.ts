import t from 'tap'
import * as errors from '../../lib/errors.ts'
import { ChannelError, ERROR, forbidden } from '../../lib/protocol/channel-errors.ts'
import { failureOf } from '../../lib/session/failure.ts'

t.test('what a client is told of an error', async (t) => {
  t.same(failureOf(forbidden()), { error: { ...ERROR.permissionDenied, temporary: false }, unexpected: false })
  t.same(failureOf(new ChannelError(4500, 'out')), { disconnect: { code: 4500, reason: 'out' } })
  t.same(failureOf(new errors.SubscriptionLimitError()), { error: ERROR.limitExceeded, unexpected: false })
  t.same(failureOf(new errors.UnavailableError()), { error: ERROR.internal, unexpected: false })
  t.same(failureOf(new errors.ConflictError()), { error: ERROR.badRequest, unexpected: false })
  t.same(failureOf(new errors.InvalidIdempotencyKeyError()), { error: ERROR.badRequest, unexpected: false })
  for (const thrown of [
    new Error('x'),
    null,
    undefined,
    'x',
    { code: 'toString' },
    { code: 103 },
    Object.assign(new ChannelError(4500), { code: 1 }),
    new errors.InvalidDataError()
  ]) {
    t.same(failureOf(thrown), { error: ERROR.internal, unexpected: true })
  }
})
