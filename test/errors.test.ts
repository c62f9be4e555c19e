import type { FastifyError } from 'fastify'
import t from 'tap'
import * as errors from '../lib/errors.ts'

/* That each is documented: test/docs/errors.test.ts. */

const made = Object.entries(errors).map(([name, Coded]) => [name, new (Coded as new () => FastifyError)()] as const)

t.test('each has a code of its own', async (t) => {
  const codes = made.map(([, { code }]) => code)
  t.equal(new Set(codes).size, codes.length)
  for (const code of codes) t.match(code, /^FST_RT_[A-Z_]+$/)
})

t.test('only what the application’s author wrote is quoted', async (t) => {
  const quoting = made.filter(([, { message }]) => message.includes('%s')).map(([name]) => name)
  t.same(quoting.sort(), [
    'BadConnectError',
    'BadHandshakeError',
    'BrokerError',
    'DependencyError',
    'InvalidArgumentError',
    'InvalidChannelPatternError',
    'InvalidMethodError',
    'InvalidOptionError',
    'InvalidRouteError',
    'NoAuthenticationError'
  ])
})

t.test('what a client can mend is not called the server’s fault', async (t) => {
  const status = Object.fromEntries(made.map(([name, { statusCode }]) => [name, statusCode]))
  for (const [name, code] of Object.entries({
    BadHandshakeError: 400,
    SubprotocolError: 400,
    InvalidChannelError: 400,
    InvalidArgumentError: 400,
    InvalidIdempotencyKeyError: 400,
    UnauthorizedError: 401,
    ForbiddenOriginError: 403,
    DismissedError: 403,
    NotWebSocketRouteError: 404,
    ConflictError: 409,
    UpgradeRequiredError: 426,
    UserCapacityError: 429,
    SubscriptionLimitError: 429,
    DrainingError: 503,
    CapacityError: 503,
    KeysUnavailableError: 503,
    HandshakeTimeoutError: 503,
    UnavailableError: 503,
    UnknownOutcomeError: 503,
    BrokerError: 503
  })) {
    t.equal(status[name], code, name)
  }
  t.ok(new errors.InvalidDataError() instanceof TypeError)
})
