import t from 'tap'
import { forbidden } from '../../lib/index.ts'
import { type RequestRules, Requests } from '../../lib/socket/requests.ts'
import { TimerWheel } from '../../lib/timing/timer-wheel.ts'
import { FakeClock } from '../support/clock.ts'

function rig(
  rules: Partial<RequestRules> = {},
  limits: { maxQueue?: number; maxDepth?: number; maxPayload?: number } = {}
) {
  const clock = new FakeClock(1_000)
  const wheel = new TimerWheel(clock, 50)
  const sent: Record<string, unknown>[] = []
  const rejected: string[] = []
  const logs: unknown[][] = []
  const state = { closed: false }
  const log = (level: string) => (details: object, message: string) => void logs.push([level, details, message])
  const owner = {
    isClosed: () => state.closed,
    log: { error: log('error'), debug: log('debug') } as never,
    sendText: (text: string) => void sent.push(JSON.parse(text)),
    rejected: (code: string) => void rejected.push(code)
  }
  const requests = new Requests({ requests: false, ...rules }, owner, wheel, {
    maxQueue: 3,
    maxDepth: 8,
    maxPayload: 1_000,
    ...limits
  })
  const take = (value: unknown) => requests.take(Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)))
  return { clock, wheel, requests, sent, rejected, logs, state, take }
}

const settled = () => new Promise(setImmediate)

t.test('requests are answered, as soon as each is done', async (t) => {
  let finish: (value: unknown) => void = () => undefined
  const respond = (data: unknown) =>
    data === 'slow'
      ? new Promise((resolve) => {
          finish = resolve
        })
      : { got: data }
  const { take, sent, requests } = rig({ respond })
  t.equal(requests.answered(), undefined)
  t.ok(take({ id: 1, request: 'slow' }))
  t.ok(take({ request: 'quick', id: 2 }))
  await settled()
  t.same(sent, [{ id: 2, reply: { got: 'quick' } }])
  const answered = requests.answered()
  finish(undefined)
  await answered
  t.same(sent[1], { id: 1, reply: null })
  t.equal(requests.answered(), undefined)
})

t.test('anything else is the handler’s, unchanged', async (t) => {
  const { take } = rig({ respond: () => 1 })
  for (const value of [
    '{"id":1,"request":',
    '{"id":1,"request":1e999}',
    '{"id":1,"request":{"__proto__":1}}',
    `{"id":1,"request":${'['.repeat(9)}${']'.repeat(9)}}`,
    { id: 1, request: 1, more: 1 },
    { id: 1, reply: 1 },
    { id: 1, error: 1 },
    '"request"',
    { text: 'a' }
  ]) {
    t.notOk(take(value), JSON.stringify(value))
  }
  t.ok(take('{"id":1,"\\u0072equest":2}'), 'a key may be written with escapes')
  const asks = rig({ requests: true })
  t.notOk(asks.take({ id: 1, request: 1 }), 'a route without respond takes no requests')
  t.ok(asks.take({ id: 1, reply: 1 }), 'and a reply that nobody waits for is dropped')
  t.ok(asks.take({ id: 1, error: 1 }))
})

t.test('the schema’s findings are answered', async (t) => {
  const validator = Object.assign((data: unknown) => typeof data === 'number', { errors: [{ message: 'no number' }] })
  const { take, sent, rejected } = rig({ respond: (data) => data, validator })
  take({ id: 1, request: 'a' })
  take({ id: 2, request: 2 })
  await settled()
  t.match(sent, [
    { id: 1, error: { code: 'invalid_message', issues: [{ message: 'no number' }] } },
    { id: 2, reply: 2 }
  ])
  t.same(rejected, ['invalid_message'])
})

t.test('replies are written by the serializer', async (t) => {
  const { take, sent } = rig({
    respond: () => ({ a: 1, secret: 2 }),
    serializer: (data) => `{"a":${(data as { a: 1 }).a}}`
  })
  take({ id: 1, request: 1 })
  await settled()
  t.same(sent, [{ id: 1, reply: { a: 1 } }])
})

t.test('errors are answered with a code, and nothing of what is inside', async (t) => {
  const thrown: Record<string, unknown> = {
    own: forbidden('not yours'),
    away: Object.assign(new Error('redis 10.0.0.1'), { code: 'FST_RT_UNAVAILABLE' }),
    unknown: Object.assign(new Error('x'), { code: 'FST_RT_UNKNOWN_OUTCOME' }),
    inner: new Error('password is 1234'),
    nothing: null,
    odd: {
      get message() {
        throw new Error('getter')
      }
    }
  }
  const { take, sent, logs } = rig(
    {
      respond: (data) => {
        if (data === 'unwritable') return 1n
        throw thrown[data as string]
      }
    },
    { maxQueue: 20, maxDepth: 8 }
  )
  const names = [...Object.keys(thrown), 'unwritable']
  for (const [id, request] of names.entries()) take({ id, request })
  await settled()
  t.same(
    sent.map(({ error }) => (error as { code: unknown }).code),
    [103, 'unavailable', 'unavailable', 'internal', 'internal', 'internal', 'internal']
  )
  t.same(sent[0], { id: 0, error: { code: 103, message: 'not yours' } })
  t.notMatch(JSON.stringify(sent), /1234|10\.0/)
  t.same(
    logs.map(([level, , message]) => [level, message]),
    Array.from({ length: 4 }, () => ['error', 'request failed'])
  )
})

t.test('what fails because the client has gone is no fault of the application’s', async (t) => {
  const { take, state, logs } = rig({
    respond: async (data) => {
      await settled()
      throw data === 1 ? new DOMException('gone', 'AbortError') : new Error('a fault all the same')
    }
  })
  take({ id: 1, request: 1 })
  take({ id: 2, request: 2 })
  state.closed = true
  await settled()
  await settled()
  t.same(
    logs.map(([level]) => level),
    ['debug', 'error']
  )
})

t.test('requests under way are bounded', async (t) => {
  const { take, sent, rejected } = rig({ respond: () => new Promise(() => undefined) })
  for (let id = 1; id <= 4; id++) take({ id, request: 1 })
  await settled()
  t.match(sent, [{ id: 4, error: { code: 'rate_limited' } }])
  t.same(rejected, ['rate_limited'])
})

t.test('a request that came too fast is refused by its id; anything else is not one', async (t) => {
  const { requests, sent, rejected } = rig({ respond: () => 1, requests: true })
  const refuse = (text: string) => requests.refuse(Buffer.from(text), 70)
  t.ok(refuse('{"id":7,"request":{"a":1}}'))
  t.match(sent, [{ id: 7, error: { code: 'rate_limited', message: String, retryAfter: 70 } }])
  for (const other of ['{"id":1,"reply":2}', '{"id":1,"request":', '{"request":1}', '"request"', '5']) {
    t.notOk(refuse(other), other)
  }
  t.notOk(rig({ requests: true }).take({ id: 7, request: 'with a \\ in it' }), 'a request to a route that answers none')
  t.notOk(rig({ requests: true }).requests.refuse(Buffer.from('{"id":7,"request":1}'), 70), 'a route that answers none')
  const reply = { id: 7, reply: 'with a \\ in it' }
  t.notOk(rig({ respond: () => 1 }).take(reply), 'a reply to a route that does not ask')
  t.equal(sent.length, 1)
  t.same(rejected, [], 'it was counted as it was dropped')
})

t.test('the server asks: replies, refusals, time', async (t) => {
  const { requests, take, sent, clock, wheel } = rig({ requests: true })
  const [first, second, third] = [requests.ask('a'), requests.ask({ b: 1 }), requests.ask(null, { timeout: 100 })]
  t.same(sent, [
    { id: 1, request: 'a' },
    { id: 2, request: { b: 1 } },
    { id: 3, request: null }
  ])
  await t.rejects(requests.ask('too many'), { code: 'FST_RT_REQUEST_LIMIT' })
  take({ id: 2, error: { code: 'busy' } })
  take({ id: 1, reply: 'r' })
  t.equal(await first, 'r')
  await t.rejects(second as Promise<unknown>, { code: 'FST_RT_REQUEST_REFUSED', cause: { code: 'busy' } })
  clock.advance(150)
  await t.rejects(third as Promise<unknown>, { code: 'FST_RT_REQUEST_TIMEOUT' })
  const last = requests.ask(1)
  clock.advance(9_900)
  t.equal(wheel.size, 1)
  requests.end()
  await t.rejects(last, { code: 'FST_RT_SOCKET_CLOSED' })
  t.equal(wheel.size, 0)
})

t.test('asking what cannot be asked', async (t) => {
  const { requests, state } = rig({ requests: true })
  for (const timeout of [0, -1, Number.NaN, 600_001]) {
    await t.rejects(requests.ask(1, { timeout }), { code: 'FST_RT_INVALID_ARGUMENT' })
  }
  await t.rejects(requests.ask(1n), { code: 'FST_RT_INVALID_DATA' })
  state.closed = true
  await t.rejects(requests.ask(1), { code: 'FST_RT_SOCKET_CLOSED' })
  await t.rejects(rig({ respond: () => 1 }).requests.ask(1), { code: 'FST_RT_REQUESTS_OFF' })
})

t.test('large requests that are under way are bounded by their bytes', async (t) => {
  let finish: (value: unknown) => void = () => undefined
  const respond = () =>
    new Promise((resolve) => {
      finish = resolve
    })
  const { take, sent } = rig({ respond }, { maxPayload: 100 })
  take({ id: 1, request: 'x'.repeat(90) })
  take({ id: 2, request: 'small' })
  t.match(sent, [{ id: 2, error: { code: 'rate_limited' } }])
  finish(1)
  await settled()
  take({ id: 3, request: 'small' })
  finish(3)
  await settled()
  t.match(sent.slice(1), [
    { id: 1, reply: 1 },
    { id: 3, reply: 3 }
  ])
})
