import t from 'tap'
import { ConnectionClosedError, DeadlineError, excerpt, HandshakeRefusedError } from '../../lib/testing/errors.ts'

/* They are read by somebody whose test just failed. */

t.test('a refusal is what the server said, in full', async (t) => {
  const body = JSON.stringify({ message: 'x'.repeat(300) })
  const error = new HandshakeRefusedError(401, { 'retry-after': '5' }, body)
  t.match(error, { code: 'FST_RT_TEST_REFUSED', statusCode: 401, headers: { 'retry-after': '5' }, body })
  t.same(error.json(), JSON.parse(body))
  t.ok(error.message.length < 300, 'and its message as much as one reads')
  t.match(new HandshakeRefusedError(403, {}, '').message, /with 403: \(empty body\)$/)
})

t.test('an end says how, and why where somebody knows', async (t) => {
  const cause = new Error('ECONNRESET')
  const error = new ConnectionClosedError('a message', 4401, 'token expired', cause)
  t.match(error, { code: 'FST_RT_TEST_CLOSED', closeCode: 4401, reason: 'token expired', cause })
  t.match(error.message, /a message.*4401 "token expired"/)
  t.match(new ConnectionClosedError('a pong', 1006, '').message, /1006 \(no reason given\)/)
})

t.test('what was waited for, and how long', async (t) => {
  t.match(new DeadlineError('the handshake', 50).message, /the handshake.*50 ms/)
})

t.test('an excerpt is the beginning, and says that there is more', async (t) => {
  t.equal(excerpt('x'.repeat(200)), 'x'.repeat(200))
  t.equal(excerpt('x'.repeat(201)), `${'x'.repeat(200)}…`)
})
