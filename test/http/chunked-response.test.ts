import { once } from 'node:events'
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import t, { type Test } from 'tap'
import { ChunkedResponse, chunkOf } from '../../lib/http/chunked-response.ts'

type Handler = (response: ChunkedResponse, raw: ServerResponse) => void

/** Serves responses over one connection that stays open. */
async function serve(t: Test, handler: Handler) {
  const sockets = new Set<Socket>()
  const server = createServer((incoming, raw) => {
    sockets.add(incoming.socket)
    raw.flushHeaders()
    handler(new ChunkedResponse(raw, incoming.socket), raw)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => {
    agent.destroy()
    server.close()
  })
  const get = async () => {
    const asked = request({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', agent })
    asked.end()
    const [response] = (await once(asked, 'response')) as [IncomingMessage]
    return response.setEncoding('utf8')
  }
  return { get, sockets }
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = ''
  for await (const part of response) text += part
  return text
}

t.test('bytes that many clients receive are framed once', (t) => {
  const part = Buffer.from('x'.repeat(26))
  t.equal(chunkOf(part).toString(), `1a\r\n${'x'.repeat(26)}\r\n`)
  t.equal(chunkOf(part), chunkOf(part))
  t.not(chunkOf(Buffer.from(part)), chunkOf(part))
  t.end()
})

t.test('the client reads all parts, and the connection serves the next request', async (t) => {
  const closes: Promise<unknown>[] = []
  const { get, sockets } = await serve(t, (response, raw) => {
    closes.push(once(raw, 'close'))
    response.on('error', () => t.fail('no error'))
    t.ok(response.write(Buffer.from('one ')))
    response.write(Buffer.from('two '))
    t.same([response.writable, response.writableFinished], [true, false])
    response.once('close', () => t.same([response.writable, response.writableFinished], [false, true]))
    response.end(Buffer.from('three'))
  })
  t.equal(await textOf(await get()), 'one two three')
  t.equal(await textOf(await get()), 'one two three')
  t.equal(sockets.size, 1)
  await Promise.all(closes)
})

t.test('a reader that does not read shows in the length, and drains', async (t) => {
  const part = Buffer.alloc(1_048_576, 'x')
  let drained: Promise<unknown> | undefined
  const { get } = await serve(t, (response) => {
    let written = 0
    do written += part.length
    while (response.write(part) && written < 100 * part.length)
    t.ok(response.writableNeedDrain)
    t.ok(response.writableLength > 0)
    drained = new Promise<void>((resolve) => response.once('drain', resolve)).then(() => {
      t.notOk(response.writableNeedDrain)
      response.end(Buffer.from('end'))
    })
  })
  t.match(await textOf(await get()), /x{10}end$/)
  await drained
})

t.test('a response is destroyed, and what ends it afterwards is not written', async (t) => {
  const { get } = await serve(t, (response, { socket }) => {
    response.write(Buffer.from('one'))
    const client = socket as Socket
    const before = client.bytesWritten
    response.once('close', () => {
      t.notOk(response.writable)
      response.end(Buffer.from('two'))
      t.equal(client.bytesWritten, before)
    })
    setImmediate(() => response.destroy())
  })
  await t.rejects(textOf(await get()))
})
