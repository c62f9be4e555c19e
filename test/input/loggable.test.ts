import Fastify from 'fastify'
import t from 'tap'
import { loggable } from '../../lib/input/loggable.ts'
import { forbidden } from '../../lib/protocol/channel-errors.ts'

t.test('what is short is what it was', async (t) => {
  const detailed = Object.assign(new Error('one', { cause: new Error('two') }), { details: { id: 5 }, code: 'E' })
  for (const thrown of [detailed, forbidden(), 'text', 0, null, undefined, { code: 1 }])
    t.equal(loggable(thrown), thrown)
})

t.test('what quotes a client at length is cut, wherever it does', async (t) => {
  const long = 'x'.repeat(1_000_000)
  class BoardError extends TypeError {
    readonly board = long
  }
  const stackless = Object.assign(new Error(long), { stack: undefined })
  const errors: unknown[] = [
    new BoardError('short'),
    new BoardError(long),
    stackless,
    Object.assign(new Error('short'), { [long]: 1 }),
    Object.assign(new Error('short'), { data: { deep: [long] }, code: 'E' }),
    new Error('short', { cause: new Error(long) }),
    new Error('short', { cause: long }),
    long,
    { data: long }
  ]
  for (const thrown of errors) {
    const logged = loggable(thrown)
    const { message, stack, cause } = Object(logged) as Error
    const text = JSON.stringify([logged, message, (stack ?? '').split('\n    at ')[0], Object(cause).message])
    t.ok(text.length < 1_500, `${text.length} characters`)
    if (!(thrown instanceof Error)) continue
    t.ok(logged instanceof thrown.constructor, 'its class is logged too')
    if (thrown.stack !== undefined) t.match(stack, /\n {4}at /, 'and where it comes from')
  }
})

t.test('and so is what only loggers read', async (t) => {
  const long = 'x'.repeat(20_000)
  const items = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`item${i}`, 'x'.repeat(200)]))
  const errors = [
    new AggregateError([new Error(long), 'x'], 'short'),
    new AggregateError(Array(1_000).fill(new Error('short')), 'short'),
    Object.assign(new Error('short'), items),
    Object.create(Object.assign(new Error('short'), { inherited: long })),
    Object.assign(new Error('short'), { cause: () => new Error(long) }),
    Object.assign(new Error('short'), { stack: `Error: ${long}` }),
    Object.assign(new Error('short'), { stack: `Error: ${long}\n    at here` }),
    // As from another realm: an error, but none of ours.
    Object.defineProperties({}, { message: { value: long }, stack: { value: long } })
  ]
  const lines: string[] = []
  const { log } = Fastify({ logger: { stream: { write: (line) => lines.push(line) } } })
  for (const thrown of errors) log.error({ err: loggable(thrown) })
  t.equal(lines.length, errors.length)
  for (const line of lines) t.ok(line.length < 10_000 && !line.includes('x'.repeat(257)), `${line.length} characters`)
})

t.test('what loggers read is kept if it is short', async (t) => {
  const several = new AggregateError([new Error('one'), 'two'], 'both')
  t.equal(loggable(several), several)
  const foreign = { message: 'one' }
  t.equal(loggable(foreign), foreign)
})

t.test('causes of causes end', async (t) => {
  const error = new Error('round')
  Object.assign(error, { cause: error, list: new Error('x'.repeat(9_000)) })
  t.match(loggable(error), { message: 'round', list: { message: /…$/ } })
})

t.test('what can’t be read or written is told as that', async (t) => {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  t.match(loggable(proxy), { message: 'Something was thrown that cannot be read' })
  t.match(loggable({ big: 1n }), { message: 'Something was thrown that cannot be written' })
})
