import t from 'tap'
import { isConsequence, readable, rethrow } from '../../lib/socket/thrown.ts'

t.test('what can be read is what it was', async (t) => {
  for (const thrown of [new Error('one'), 'text', 0, null, undefined, { code: 1 }, Object.create(null), Symbol('s')]) {
    t.equal(readable(thrown), thrown)
  }
})

t.test('what can’t be read is told as that', async (t) => {
  const hostile = (name: string, enumerable = false) =>
    Object.defineProperty(new Error('shown'), name, {
      enumerable,
      get() {
        throw new Error('hidden')
      }
    })
  for (const thrown of [hostile('message'), hostile('code'), hostile('stack'), hostile('details', true)]) {
    t.match(readable(thrown), { message: 'Something was thrown that cannot be read' })
  }
  const inherited = Object.setPrototypeOf(new Error('shown'), hostile('details', true))
  const nameless = Object.assign(new Error('shown'), { constructor: hostile('name') })
  const several = [hostile('constructor'), hostile('cause'), hostile('errors'), inherited, nameless]
  const traps = ['getPrototypeOf', 'ownKeys', 'get', 'getOwnPropertyDescriptor'] as const
  const trapped = traps.map(
    (trap) =>
      new Proxy(Object.assign(new Error('shown'), { code: 1 }), {
        [trap]() {
          throw new Error('hidden')
        }
      })
  )
  for (const thrown of [...several, ...trapped]) {
    t.match(readable(thrown), { message: 'Something was thrown that cannot be read' })
  }
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  t.match(readable(proxy), { message: 'Something was thrown that cannot be read' })
})

t.test('an error that nobody takes is thrown', async (t) => {
  const error = new Error('thrown')
  t.throws(() => rethrow(error), error)
})

t.test('what fails because its connection has gone', async (t) => {
  for (const error of [{ name: 'AbortError' }, { code: 'FST_RT_SOCKET_CLOSED' }]) t.ok(isConsequence(error))
  for (const error of [undefined, null, 'AbortError', new Error('a'), { code: 'FST_RT_UNAVAILABLE' }]) {
    t.notOk(isConsequence(error))
  }
})
