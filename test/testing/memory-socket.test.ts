import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { MemorySocket } from '../../lib/testing/memory-socket.ts'

t.test('bytes arrive in order, in a later turn', async (t) => {
  const [client, server] = MemorySocket.pair()
  const seen: string[] = []
  server.on('data', (chunk) => seen.push(chunk.toString()))
  client.write('a')
  client.end('b')
  t.same(seen, [])
  await once(server, 'end')
  t.equal(seen.join(''), 'ab')
  t.equal(client.bytesWritten, 2)
  t.equal(server.bytesRead, 2)
})

t.test('both ends have addresses that match', (t) => {
  const [client, server] = MemorySocket.pair()
  t.equal(client.localPort, server.remotePort)
  t.equal(server.localPort, client.remotePort)
  t.equal(server.remoteAddress, '127.0.0.1')
  t.same(server.address(), { address: '127.0.0.1', family: 'IPv4', port: 80 })
  t.not(MemorySocket.pair()[0].localPort, client.localPort)
  t.end()
})

t.test('ports stay ports, however many connections a test makes', (t) => {
  for (let count = 0; count < 16_384; count++) {
    const { localPort } = MemorySocket.pair()[0]
    if (localPort < 49_152 || localPort > 65_535) t.fail(`port ${localPort}`)
  }
  t.end()
})

t.test('what sockets have and memory does not', (t) => {
  const [client] = MemorySocket.pair()
  t.equal(client.setNoDelay().setKeepAlive().ref().unref(), client)
  t.end()
})

t.test('a reader that does not read holds the writer back', async (t) => {
  const [client, server] = MemorySocket.pair()
  const chunk = Buffer.alloc(64 * 1024)
  const written: number[] = []
  for (let count = 0; count < 4; count++) client.write(chunk, () => written.push(count))
  await new Promise((resolve) => setImmediate(resolve))
  t.same(written, [])
  t.equal(client.writableLength, 4 * chunk.length)
  server.resume()
  client.end()
  await once(server, 'end')
  t.same(written, [0, 1, 2, 3])
  t.equal(server.bytesRead, 4 * chunk.length)
})

t.test('a writer is held back only once the wire is full', async (t) => {
  const [client, server] = MemorySocket.pair()
  let written = 0
  const chunk = Buffer.alloc(20 * 1024)
  for (let count = 0; count < 6; count++) client.write(chunk, () => void written++)
  await new Promise((resolve) => setImmediate(resolve))
  t.equal(written, 3)
  // The reader takes what its own buffer holds, which is less than all.
  server.read(0)
  await once(server, 'readable')
  t.ok(server.readableLength < 6 * chunk.length)
  server.resume()
  client.end()
  await once(server, 'end')
  t.equal(written, 6)
})

t.test('half-close: the server may go on writing, the client ends by itself', async (t) => {
  const [client, server] = MemorySocket.pair()
  client.end('question')
  server.resume()
  await once(server, 'end')
  t.ok(server.writable)
  server.end('answer')
  t.equal(await text(client), 'answer')

  const [other, otherServer] = MemorySocket.pair()
  other.resume()
  otherServer.resume().end()
  await Promise.all([once(other, 'close'), once(otherServer, 'close')])
})

t.test('destroy', async (t) => {
  t.test('what was written before still arrives, then the end', async (t) => {
    const [client, server] = MemorySocket.pair()
    server.write('last words')
    server.destroy()
    t.equal(await text(client), 'last words')
  })

  t.test('a later write breaks', async (t) => {
    const [client, server] = MemorySocket.pair()
    client.destroy()
    server.write('anyone?')
    const [error] = await once(server, 'error')
    t.match(error, { code: 'EPIPE' })
  })

  t.test('a write that waits for room breaks', async (t) => {
    const [client, server] = MemorySocket.pair()
    server.write(Buffer.alloc(1024 * 1024))
    client.destroy()
    const [error] = await once(server, 'error')
    t.match(error, { code: 'EPIPE' })
  })

  t.test('both at once, and with bytes on their way', async (t) => {
    const [client, server] = MemorySocket.pair()
    server.resume()
    client.write('x')
    client.destroy()
    server.destroy()
    await Promise.all([once(client, 'close'), once(server, 'close')])
    t.equal(server.bytesRead, 0)
  })

  t.test('with an error of one’s own', async (t) => {
    const [client] = MemorySocket.pair()
    const failed = once(client, 'error')
    client.destroy(new Error('why'))
    t.match(await failed, [{ message: 'why' }])
  })
})

t.test('destroySoon writes what is left', async (t) => {
  const [client, server] = MemorySocket.pair()
  server.write('answer')
  server.destroySoon()
  t.equal(await text(client), 'answer')
  t.ok(server.destroyed)
})

t.test('destroySoon when all is written already', async (t) => {
  const [, server] = MemorySocket.pair()
  server.end()
  await once(server, 'finish')
  server.destroySoon()
  t.ok(server.destroyed)
})

t.test('setTimeout', async (t) => {
  t.test('emits timeout after idling, and is put off by traffic', async (t) => {
    const [client, server] = MemorySocket.pair()
    client.resume()
    // Idle timers do not keep the process alive, here as on a net.Socket; this one does.
    const traffic = setInterval(() => server.write('x'), 10)
    let lastByte = 0
    client.on('data', () => {
      lastByte = performance.now()
    })
    const idled = new Promise<number>((resolve) => client.setTimeout(100, () => resolve(performance.now() - lastByte)))
    while (client.bytesRead < 20) await once(client, 'data')
    clearInterval(traffic)
    const alive = setInterval(() => undefined, 1_000)
    server.setTimeout(100)
    server.write('the last')
    const [idle] = await Promise.all([idled, once(server, 'timeout')])
    // Timers and this clock round differently.
    t.ok(idle > 95, `${idle} ms`)
    clearInterval(alive)
  })

  t.test('0 switches it off, with its listener', async (t) => {
    const [client] = MemorySocket.pair()
    const listener = () => t.fail('timed out')
    client.setTimeout(1, listener)
    t.equal(client.setTimeout(0, listener), client)
    t.equal(client.listenerCount('timeout'), 0)
    client.setTimeout(0)
  })
})
