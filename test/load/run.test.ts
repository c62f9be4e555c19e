import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { mock } from 'node:test'
import { type Test, test } from 'tap'
import { loadCommand, runOptions } from '../../lib/load/command.ts'
import { RunError } from '../../lib/load/preflight.ts'
import { runLoad } from '../../lib/load/run.ts'
import type { Moment } from '../../lib/load/timeline.ts'
import { testSecret } from '../../lib/testing/index.ts'
import { buildApp } from '../support/app.ts'
import { LoadPeer } from '../support/load-peer.ts'
import { originOf } from '../support/transports.ts'

function options(...line: string[]) {
  const command = loadCommand().parse(line, { from: 'user' })
  return runOptions(command.args[0] as string, command.opts(), {})
}

const forever = new AbortController().signal

/** A server that echoes, and where it is. */
async function echo(t: Test): Promise<LoadPeer> {
  const peer = await LoadPeer.start(t, '/echo')
  peer.server.on('connection', (socket) => socket.on('message', (data) => socket.send(String(data))))
  return peer
}

for (const transport of ['websocket', 'protobuf', 'http_stream', 'sse']) {
  test(`channels over ${transport}, with tokens that are signed, cut in the middle`, async (t) => {
    const { app } = await buildApp(t)
    app.get('/metrics', () => 'process_cpu_seconds_total 1\nprocess_resident_memory_bytes 2\n')
    app.channel('rooms/:room', { history: { size: 1000, ttl: 60_000 }, onSubscribe: true, onPublish: true })
    const line = ['--connections', '4', '--channels', '2', '--duration', '400ms', '--rate', '50', '--reconnect-storm']
    const signed = { ...options(await originOf(app), ...line, '--transport', transport), secret: testSecret }
    const moments: Moment[] = []
    const result = await runLoad(signed, forever, (moment) => moments.push(moment))
    t.match(result, {
      connections: { opened: 4, atEnd: 4, reconnections: 4, refused: {}, failed: {} },
      messages: { lost: 0, duplicated: 0, outOfOrder: 0, publishers: 4 },
      recoveries: { recovered: 4, notRecovered: 0 },
      storm: { cut: 4, back: 4 },
      server: { cpu: 0, memory: 2 }
    })
    t.ok(moments.length > 0)
  })
}

test('slow readers in a room, with given tokens and an origin', async (t) => {
  const peer = await LoadPeer.start(t, '/room')
  const headers: unknown[] = []
  peer.server.on('connection', (socket, request) => {
    headers.push([request.headers.origin, request.headers['sec-websocket-protocol']])
    socket.send('{"notice":{"code":"subscribed"}}')
    socket.on('message', (data) => {
      for (const each of peer.server.clients) each.send(String(data))
    })
  })
  const line = [
    '--connections',
    '3',
    '--slow-readers',
    '1',
    '--duration',
    '400ms',
    '--slow-for',
    '50ms',
    '--rate',
    '20'
  ]
  const room = options(String(peer.url), ...line, '--origin', 'http://h', '--publishers', '5')
  const result = await runLoad({ ...room, tokens: ['a', 'b'] }, forever, () => {})
  t.match(result, { messages: { published: 8, delivered: 24, publishers: 2 }, latency: { count: 16 } })
  t.same(
    headers,
    ['a', 'b', 'a'].map((token) => ['http://h', `realtime.v1,bearer.${token}`])
  )
})

test('a run that is ended before it began, and one that is ended early', async (t) => {
  const peer = await echo(t)
  const nothing = await runLoad(options(String(peer.url)), AbortSignal.abort(), () => {})
  t.match(nothing, { interrupted: true, connections: { opened: 0 }, messages: { published: 0, publishers: 0 } })
  const controller = new AbortController()
  const line = ['--connections', '2', '--duration', '1h', '--rate', '100', '--reconnect-storm'].map((part) =>
    part.replace('1h', '60m')
  )
  const early = await runLoad(options(String(peer.url), ...line), controller.signal, ({ delivered }) => {
    if (delivered > 0) controller.abort()
  })
  t.match(early, { interrupted: true, storm: null, connections: { opened: 2, atEnd: 2 } })
  t.ok(early.messages.delivered > 0)
})

test('on a busy machine the storm comes at the end, if its time has passed', async (t) => {
  const peer = await echo(t)
  const line = ['--connections', '1', '--messages', '1', '--rate', '1', '--reconnect-storm']
  const { storm } = await runLoad(options(String(peer.url), ...line), forever, () => {})
  t.match(storm, { cut: 1, back: 1 })
})

test('a server that loses a message: waited for, then counted', async (t) => {
  const peer = await LoadPeer.start(t, '/echo')
  peer.server.on('connection', (socket) => {
    socket.once('message', () => socket.on('message', (data) => socket.send(String(data))))
  })
  const line = ['--connections', '1', '--messages', '3', '--rate', '100']
  const { messages } = await runLoad(options(String(peer.url), ...line), forever, () => {})
  t.match(messages, { published: 3, delivered: 2, lost: 1 })
})

test('a server that does not come back', async (t) => {
  const peer = await echo(t)
  const controller = new AbortController()
  const line = ['--connections', '1', '--messages', '2', '--rate', '10', '--duration', '1']
  const running = runLoad(options(String(peer.url), ...line), controller.signal, ({ phase }) => {
    if (phase === 'settling') controller.abort()
  })
  const { socket, next } = await peer.connection()
  await next()
  peer.server.close()
  socket.terminate()
  const result = await running
  t.match(result, { interrupted: true, closes: undefined, connections: { closes: { 1006: 1 }, atEnd: 0 } })
})

test('nobody can take part: why, and what to do', async (t) => {
  let answer = 'HTTP/1.1 401 No\r\n\r\n'
  const server = createServer().on('upgrade', (_request, socket) => socket.end(answer))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => server.close())
  const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/echo`
  const run = () => runLoad(options(url, '--connections', '2'), forever, () => {})
  await t.rejects(
    run(),
    new RunError(
      'no connection could take part: refused with 401 (2 times): the server requires a token, or refused it: set JWT_SECRET or LOAD_TOKEN, or use --token-file'
    )
  )
  answer = 'HTTP/1.1 418 No\r\n\r\n'
  await t.rejects(run(), { message: /refused with 418 \(2 times\)$/ })
  answer = 'nonsense\r\n\r\n'
  await t.rejects(run(), { message: /take part: HPE_INVALID_CONSTANT \(2 times\)$/ })
  const peer = await LoadPeer.start(t, '/room')
  peer.server.on('connection', (socket) => socket.close(4403))
  await t.rejects(
    runLoad(options(String(peer.url), '--connections', '1'), forever, () => {}),
    { message: /closed with 4403 \(1 times\)$/ }
  )
  mock.restoreAll()
})
