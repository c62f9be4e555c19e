import { test } from 'tap'
import { faultOf, isLoopback } from '../../demo/loopback.ts'

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

test('what is asked from here: over loopback, by a loopback name, through no proxy, and by no page but ours', async (t) => {
  const fault = (remoteAddress: string | undefined, headers: Record<string, string | undefined>) =>
    faultOf({ socket: { remoteAddress }, headers } as never)
  const page = { host: '127.0.0.1:3000', origin: 'http://127.0.0.1:3000', 'sec-fetch-site': 'same-origin' }
  t.equal(fault('127.0.0.1', page), undefined)
  t.equal(fault('127.0.0.1', { host: page.host, origin: page.origin }), undefined, 'no metadata')
  t.equal(fault('127.0.0.1', { host: page.host, 'sec-fetch-site': 'same-origin' }), undefined, 'a GET')
  t.equal(fault('::1', { host: 'localhost:3000', origin: 'http://localhost:3000' }), undefined)
  t.equal(fault('::1', { host: '[::1]:3000', origin: 'http://[::1]:3000' }), undefined)
  t.equal(fault('::ffff:127.0.0.1', { host: 'LocalHost:3000', origin: 'http://localhost:3000' }), undefined)

  t.equal(fault('192.0.2.7', page), 'only from this machine')
  t.equal(fault(undefined, page), 'only from this machine', 'a connection that is gone')
  // What a proxy on this machine brought was taken for its own, where its Host header was that of its target.
  for (const name of ['forwarded', 'via', 'x-real-ip', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto']) {
    t.equal(fault('127.0.0.1', { ...page, [name]: '127.0.0.1' }), 'not through a proxy', name)
  }
  for (const host of ['demo.example.com', '127.0.0.1.example:3000', 'a b', undefined]) {
    t.equal(fault('127.0.0.1', { ...page, host, origin: `http://${host}` }), 'only by a loopback name', `${host}`)
  }
  for (const origin of ['http://127.0.0.1:4000', 'http://localhost:3000', 'http://example.com', 'null']) {
    t.equal(fault('127.0.0.1', { ...page, origin }), 'only from the page', origin)
  }
  for (const site of ['cross-site', 'same-site', 'none']) {
    t.equal(fault('127.0.0.1', { ...page, 'sec-fetch-site': site }), 'only from the page', site)
  }
  t.equal(fault('127.0.0.1', { host: page.host }), 'only from the page', 'no browser, or a tunnel')
})
