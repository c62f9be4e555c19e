import { test } from 'tap'
import { isAskedFromHere, isLoopback } from '../../demo/loopback.ts'

test('loopback is 127.0.0.0/8, ::1 and localhost, however they are written', async (t) => {
  for (const host of ['127.0.0.1', '127.8.9.10', '::1', '[::1]', '::ffff:127.0.0.1', 'localhost', 'LOCALHOST']) {
    t.ok(isLoopback(host), host)
  }
  for (const host of [
    '',
    '0.0.0.0',
    '::',
    '10.0.0.1',
    '128.0.0.1',
    '::ffff:10.0.0.1',
    'localhost.example.com',
    '127',
    '127.0.0.1.example',
    '127.evil'
  ]) {
    t.notOk(isLoopback(host), host)
  }
})

test('who asks from here: over loopback, for a host that is loopback, and no page but ours', async (t) => {
  const asks = (remoteAddress: string | undefined, host: string | undefined, origin?: string) =>
    isAskedFromHere({ socket: { remoteAddress }, headers: { host, origin } } as never)
  t.ok(asks('127.0.0.1', '127.0.0.1:3000'), 'curl')
  t.ok(asks('::1', 'localhost:3000', 'http://localhost:3000'), 'our page')
  t.ok(asks('::ffff:127.0.0.1', 'LocalHost:3000', 'http://localhost:3000'))
  t.notOk(asks('192.0.2.7', '127.0.0.1:3000'), 'another machine')
  t.notOk(asks(undefined, '127.0.0.1:3000'), 'a connection that is gone')
  t.notOk(asks('127.0.0.1', 'demo.example.com', 'https://demo.example.com'), 'a proxy, or a name turned to here')
  t.notOk(asks('127.0.0.1', '127.0.0.1:3000', 'http://127.0.0.1:4000'), 'another page of this machine')
  t.notOk(asks('127.0.0.1', '127.0.0.1:3000', 'null'), 'a page of nowhere')
  t.notOk(asks('127.0.0.1', undefined))
  t.notOk(asks('127.0.0.1', 'a b'))
})
