import t from 'tap'
import { isDisconnectError, readable, rethrow } from '../../lib/input/thrown.ts'
import { ChannelError, forbidden, isChannelError } from '../../lib/protocol/channel-errors.ts'

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

t.test('what is no plain value is read once, whatever a later look would do', async (t) => {
  /** Its members can be read so many times. */
  function fragile<T extends object>(error: T, names: readonly string[], times = 1): T {
    for (const name of names) {
      const value = Reflect.get(error, name)
      let looks = 0
      Object.defineProperty(error, name, {
        enumerable: name === 'code',
        get() {
          if (++looks > times) throw new Error('hidden')
          return value
        }
      })
    }
    return error
  }
  const look = (error: unknown) => {
    const {
      name,
      message,
      code,
      statusCode,
      stack,
      cause,
      constructor: maker
    } = error as Error & { code: unknown; statusCode: unknown }
    return { name, message, code, statusCode, stack, cause, maker, all: { ...(error as object) }, text: String(error) }
  }
  // The stack is written at its first look, with the name and the message.
  const names = ['stack', 'name', 'message', 'code', 'statusCode', 'cause', 'constructor']
  const make = () => Object.assign(new TypeError('shown', { cause: 1 }), { code: 'E', statusCode: 400 })
  const error = readable(fragile(make(), names))
  t.ok(error instanceof TypeError)
  t.match(error, { name: 'TypeError', message: 'shown', code: 'E', statusCode: 400, cause: 1, constructor: TypeError })
  t.strictSame(look(error), look(error))
  t.same(Object.keys(error as object), ['code'], 'what is written of it is what was')

  class Closed extends ChannelError {
    #looks = 0
    override get disconnects() {
      if (++this.#looks > 1) throw new Error('hidden')
      return true
    }
  }
  const closed = readable(new Closed(3_001)) as ChannelError
  t.ok(isChannelError(closed))
  t.same([closed.disconnects, closed.disconnects, closed.code], [true, true, 3_001])

  let trusted = true
  const guard = () => {
    if (!trusted) throw new Error('hidden')
  }
  const handler = {
    get(...args: Parameters<typeof Reflect.get>) {
      guard()
      return Reflect.get(...args)
    },
    getPrototypeOf(target: object) {
      guard()
      return Reflect.getPrototypeOf(target)
    }
  }
  const traps = [
    new Proxy(make(), handler),
    Object.assign(Object.create(new Proxy(make(), handler)), { message: 'shown' }),
    Object.assign(make(), { constructor: new Proxy(class Shown {}, handler) })
  ]
  const plain = traps.map(readable)
  trusted = false
  for (const one of plain.slice(0, 2)) {
    t.ok(one instanceof Error)
    t.match(look(one), { message: 'shown', code: 'E' })
  }
  t.match(plain[2], { message: 'shown', code: 'E' })
})

t.test('what a getter of the platform’s own gives is kept', async (t) => {
  const { reason } = AbortSignal.abort()
  t.match(readable(reason), { name: 'AbortError', code: 20, message: reason.message, stack: reason.stack })
  t.ok(readable(reason) instanceof DOMException)
  t.equal(readable(forbidden()) instanceof ChannelError, true)
  const error = forbidden()
  t.equal(readable(error), error)
  const nothing = Object.create(null, { code: { get: () => 'E', enumerable: true } })
  t.strictSame({ ...(readable(nothing) as object) }, { code: 'E' })
})

t.test('an error that nobody takes is thrown', async (t) => {
  const error = new Error('thrown')
  t.throws(() => rethrow(error), error)
})

t.test('what fails because its connection has gone', async (t) => {
  for (const error of [{ name: 'AbortError' }, { code: 'FST_RT_SOCKET_CLOSED' }]) t.ok(isDisconnectError(error))
  for (const error of [undefined, null, 'AbortError', new Error('a'), { code: 'FST_RT_UNAVAILABLE' }]) {
    t.notOk(isDisconnectError(error))
  }
})
