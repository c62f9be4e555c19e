import type { FastifyError } from 'fastify'
import t from 'tap'
import { bounded, loggedReason, RefusalReason, withCause } from '../../lib/handshake/refusal-reason.ts'

const logged = (cause?: unknown) => loggedReason(withCause(new Error('x'), cause) as FastifyError)

t.test('what is logged of a refusal is a sentence of ours, a code or a name', async (t) => {
  t.strictSame(logged(), { reason: undefined })
  t.strictSame(logged('a string that somebody threw'), { reason: undefined })
  t.strictSame(logged(new TypeError('quotes the token')), { reason: 'TypeError' })
  t.strictSame(logged(Object.assign(new Error('quotes the token'), { code: 'FAST_JWT_EXPIRED' })), {
    reason: 'FAST_JWT_EXPIRED'
  })
  t.strictSame(logged(new RefusalReason('no token')), { reason: 'no token' })
  t.strictSame(logged(new RefusalReason('the origin is not the host', { host: 'a' })), {
    reason: 'the origin is not the host',
    host: 'a'
  })
})

t.test('case 172: and is bounded', async (t) => {
  const code = 'x'.repeat(10_000)
  t.equal(logged(Object.assign(new Error(''), { code })).reason?.length, 201)
  t.equal(logged(Object.assign(new Error(''), { code: 7 })).reason, '7')
  t.equal(bounded('x'.repeat(200)).length, 200)
})
