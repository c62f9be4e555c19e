import { addAbortListener, once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { guardedController } from '../../lib/socket/guarded-signal.ts'

function rig() {
  const reported: unknown[] = []
  const controller = guardedController((thrown) => reported.push((thrown as Error).message))
  return { controller, signal: controller.signal, reported }
}

t.test('an error of a listener is reported, and the others are called', async (t) => {
  const { controller, signal, reported } = rig()
  const called: string[] = []
  const fail = (name: string) => {
    called.push(name)
    throw new Error(name)
  }
  signal.addEventListener('abort', () => fail('function'))
  signal.addEventListener('abort', { handleEvent: () => fail('object') }, { once: true })
  signal.addEventListener('abort', async () => fail('promise'))
  signal.onabort = () => fail('property')
  addAbortListener(signal, () => fail('node'))
  signal.addEventListener('abort', function (this: unknown, { type, target }) {
    t.strictSame([this, type, target], [signal, 'abort', signal])
    called.push('last')
  })
  controller.abort()
  await new Promise(setImmediate)
  t.strictSame(called, ['function', 'object', 'promise', 'property', 'node', 'last'])
  t.strictSame(reported.sort(), ['function', 'node', 'object', 'promise', 'property'])
})

t.test('listeners are added once, and removed', (t) => {
  const { controller, signal } = rig()
  let calls = 0
  const count = () => calls++
  const removed = () => t.fail('it was removed')
  for (const listener of [count, count, removed]) signal.addEventListener('abort', listener)
  signal.removeEventListener('abort', removed)
  signal.removeEventListener('abort', () => undefined)
  const warnings = t.capture(process, 'emitWarning', () => undefined)
  signal.addEventListener('abort', null as never)
  t.match(
    warnings(),
    [{ args: [{ name: 'AddEventListenerArgumentTypeWarning' }] }],
    'the warning of Node’s own signals'
  )
  warnings.restore()
  signal.removeEventListener('abort', null as never)
  controller.abort()
  t.equal(calls, 1)
  t.end()
})

t.test('it is a signal to whoever takes one', async (t) => {
  const { controller, signal } = rig()
  const server = createServer(() => controller.abort(new Error('enough'))).listen(0, '127.0.0.1')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  await once(server, 'listening')
  const any = AbortSignal.any([signal, AbortSignal.timeout(60_000)])
  const { port } = server.address() as AddressInfo
  const waits = [
    fetch(`http://127.0.0.1:${port}`, { signal }),
    fetch(`http://127.0.0.1:${port}`, { signal: any }),
    sleep(60_000, undefined, { signal }),
    once(process, 'never', { signal })
  ]
  for (const { status } of await Promise.allSettled(waits)) t.equal(status, 'rejected')
  t.match([any.aborted, signal.reason], [true, { message: 'enough' }])
})
