import { once } from 'node:events'
import { createServer } from 'node:net'
import t from 'tap'
import {
  checkFileLimit,
  checkServerFileLimit,
  portsPerAddress,
  RunError,
  reachableAddress,
  sourceAddresses
} from '../../../demo/load/preflight.ts'

t.test('a file for each connection, and some to spare', async (t) => {
  checkFileLimit(900, 1000)
  checkFileLimit(10)
  t.throws(() => checkFileLimit(1000, 1000), RunError)
  t.throws(() => checkFileLimit(1000, 1000), { message: /need 1100 file descriptors, and this process may open 1000/ })
  const tight = { processes: 1, fileLimit: 1000 }
  t.throws(() => checkServerFileLimit(1000, tight), { message: /the server may open 1000/ })
  checkServerFileLimit(900, tight)
  checkServerFileLimit(1000, { ...tight, processes: 3 })
  checkServerFileLimit(1000, { processes: undefined, fileLimit: undefined })
  checkServerFileLimit(1000, undefined)
})

t.test('past the ports of one address it takes several of loopback, or says that it can’t', async (t) => {
  t.same(sourceAddresses(1000, '127.0.0.1', 1000, 'linux'), [])
  t.same(sourceAddresses(2500, '127.0.0.1', 1000, 'linux'), ['127.0.0.1', '127.0.0.2', '127.0.0.3'])
  t.throws(() => sourceAddresses(2500, '192.0.2.1', 1000, 'linux'), RunError)
  t.throws(() => sourceAddresses(2500, '127.0.0.1', 1000, 'darwin'), { message: /has ports for 1000 connections/ })
  t.equal(portsPerAddress('32768\t60999\n'), 25_408)
  t.equal(portsPerAddress(''), 14_745)
  t.ok(portsPerAddress() > 1000)
})

t.test('a host that answers, or why none does', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  // Whichever of its addresses it is.
  t.equal(await reachableAddress('localhost', port), '127.0.0.1')
  server.close()
  await once(server, 'close')
  await t.rejects(reachableAddress('127.0.0.1', port), {
    message: /^nothing answers on port \d+ of 127\.0\.0\.1: start/
  })
  // No name: nobody is asked for it.
  await t.rejects(reachableAddress('no..host', 80), { message: /^there is no host called no\.\.host: check/ })
})
