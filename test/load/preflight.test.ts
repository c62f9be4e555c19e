import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { mock } from 'node:test'
import { test } from 'tap'
import { checkFileLimit, checkServer, RunError } from '../../lib/load/preflight.ts'

test('files: as many as connections, and some to spare', async (t) => {
  checkFileLimit(1)
  checkFileLimit(900, 1000)
  t.throws(() => checkFileLimit(901, 1000), {
    constructor: RunError,
    message: /^901 connections need 1001 .* open 1000/
  })
  mock.method(process.report, 'getReport', () => ({}))
  t.teardown(() => mock.restoreAll())
  checkFileLimit(1_000_000)
})

test('a server that answers, and ones that do not', async (t) => {
  const server = createServer((socket) => socket.destroy())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const url = new URL(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`)
  await checkServer(url)
  server.close()
  await t.rejects(checkServer(url), {
    constructor: RunError,
    message: /^nothing answers at 127.0.0.1:\d+ \(ECONNREFUSED\)/
  })
  await t.rejects(checkServer(new URL('ws://[::ffff:127.0.0.2]')), { message: /^nothing answers at ::ffff:7f00:2:80 / })
  await t.rejects(checkServer(new URL('wss://no-such-host.invalid')), { message: /:443 \((ENOTFOUND|EAI_AGAIN)\)/ })
})
