import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createSecure } from 'node:https'
import type { AddressInfo } from 'node:net'
import { type Test, test } from 'tap'
import { openHttp } from '../../lib/load/http-wire.ts'
import type { Wire } from '../../lib/load/wire.ts'

type Handler = (request: IncomingMessage, body: string, response: ServerResponse) => void

async function serve(t: Test, handler: Handler): Promise<URL> {
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    handler(request, body, response)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return new URL(`ws://127.0.0.1:${(server.address() as AddressInfo).port}/connect?a=1`)
}

function wire(url: URL, transport: 'http_stream' | 'sse') {
  const told: unknown[] = []
  let wake = () => {}
  const tell = (what: unknown) => {
    told.push(what)
    wake()
  }
  const endpoint = {
    url,
    protocols: [],
    headers: { authorization: 'Bearer t' },
    isSse: transport === 'sse',
    emulation: '/emulation'
  }
  const it = openHttp(endpoint, '{"id":1}', {
    onOpen: () => tell('open'),
    onMessage: (data) => tell(data.toString()),
    onEnd: (end) => tell(end)
  })
  const tells = async (count: number) => {
    while (told.length < count) await new Promise<void>((resolve) => (wake = resolve))
    return told
  }
  return { wire: it, tells, told }
}

test('a stream of lines, in any pieces, and commands one after another', async (t) => {
  const requests: unknown[] = []
  let stream: ServerResponse | undefined
  const url = await serve(t, (request, body, response) => {
    requests.push([request.method, request.url, request.headers.authorization, request.headers['content-type'], body])
    if (request.url === '/emulation') {
      response.writeHead(204).end()
      return
    }
    stream = response
    response.writeHead(200)
    response.write('{"a":1}\n\n{"b"')
  })
  const { wire: it, tells } = wire(url, 'http_stream')
  t.same(await tells(2), ['open', '{"a":1}'])
  stream?.write(':2}\n{"c":3}\n')
  t.same((await tells(4)).slice(2), ['{"b":2}', '{"c":3}'])
  it.identify?.({ session: 's', node: 'n' })
  for (const command of ['1', '2', '3']) it.send(command)
  it.pause()
  it.resume()
  while (requests.length < 3) await new Promise((resolve) => setTimeout(resolve, 5))
  const json = 'application/json'
  t.same(requests, [
    ['POST', '/connect?a=1', 'Bearer t', json, '{"id":1}'],
    ['POST', '/emulation', 'Bearer t', json, '{"session":"s","node":"n","data":"1"}'],
    ['POST', '/emulation', 'Bearer t', json, '{"session":"s","node":"n","data":"2\\n3"}']
  ])
  stream?.destroy()
  t.same((await tells(5)).slice(4), [{ code: 1006 }])
})

test('an event stream', async (t) => {
  let asked: unknown
  const url = await serve(t, (request, _body, response) => {
    asked = [request.method, request.url]
    response.writeHead(200).write('data: {"a":1}\n\n')
  })
  const { wire: it, tells, told } = wire(url, 'sse')
  await tells(2)
  t.same(told, ['open', '{"a":1}'])
  t.same(asked, ['GET', '/connect?a=1&cf_connect=%7B%22id%22%3A1%7D'])
  it.close()
  it.pause()
})

test('nothing is told after a cut within a message', async (t) => {
  const url = await serve(t, (_request, _body, response) => void response.writeHead(200).write('1\n2\n3\n'))
  const told: string[] = []
  const endpoint = { url, protocols: [], headers: {}, isSse: false, emulation: '/emulation' }
  const it: Wire = openHttp(endpoint, '{}', {
    onOpen: () => {},
    onMessage: (data) => {
      told.push(data.toString())
      it.cut()
    },
    onEnd: () => told.push('end')
  })
  while (told.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  t.same(told, ['1'])
})

test('refusals and failures, of the stream and of commands', async (t) => {
  const url = await serve(t, (request, _body, response) => {
    if (request.url?.startsWith('/connect') === true && request.method === 'POST')
      response.writeHead(200).flushHeaders()
    else response.writeHead(404).end('no')
  })
  t.same(await wire(url, 'sse').tells(1), [{ status: 404 }])
  const { wire: it, tells } = wire(url, 'http_stream')
  await tells(1)
  it.send('1')
  it.send('2')
  t.same(await tells(2), ['open', { reason: 'commands refused with 404' }])
  const tls = (name: string) => readFileSync(new URL(`../support/tls/${name}.pem`, import.meta.url))
  const secure = createSecure({ key: tls('key'), cert: tls('cert') })
  await once(secure.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => secure.close())
  const address = new URL(`wss://127.0.0.1:${(secure.address() as AddressInfo).port}`)
  t.match(await wire(address, 'sse').tells(1), [{ reason: /CERT/ }], 'a certificate that nobody signed')
})
