import t from 'tap'
import { pingFrame, textFrame } from '../../lib/protocol/frame.ts'
import type { TestSocket } from '../../lib/testing/index.ts'
import { opcodes } from '../support/raw-socket.ts'
import { next, rawPair, socketRig } from '../support/socket-rig.ts'

/* What is sent: its order, whichever way it takes, and its end. */

const texts = async (client: TestSocket, count: number) => {
  const found: string[] = []
  while (found.length < count) found.push(String((await client.nextRaw()).data))
  return found
}

t.test('every way of sending keeps its place', async (t) => {
  for (const perMessageDeflate of [false, true]) {
    const { accept } = await socketRig(t, { perMessageDeflate })
    const { socket, client } = await accept()
    t.equal(socket.extensions !== '', perMessageDeflate)
    const called: string[] = []
    socket.send('string')
    socket.send(Buffer.from('buffer'))
    socket.send(Buffer.from('as text'), { binary: false })
    socket.send('as bytes', { binary: true })
    socket.send('with a callback', () => called.push('sent'))
    socket.send('with options and a callback', {}, () => called.push('sent'))
    socket.send('null options', null as never)
    socket.sendJson({ json: true })
    socket.send(5 as never)
    socket.send(Uint8Array.from([0x61]).buffer)
    socket.send('large'.padEnd(20_000, '.'))
    socket.send(Buffer.from('large bytes'.padEnd(20_000, '.')))
    socket.outbox.deliver(textFrame('published'), 1)
    socket.send(new Blob(['blob']))
    socket.send('behind the blob')
    socket.sendText('last')
    const found = (await texts(client, 16)).map((text) => text.replace(/\.+$/, ''))
    t.same(found, [
      'string',
      'buffer',
      'as text',
      'as bytes',
      'with a callback',
      'with options and a callback',
      'null options',
      '{"json":true}',
      '5',
      'a',
      'large',
      'large bytes',
      'published',
      'blob',
      'behind the blob',
      'last'
    ])
    await client.expectNothing()
    t.same(called, ['sent', 'sent'])
    t.equal(socket.stats.messagesOut, 16)
  }
})

t.test('text is text, and bytes are bytes', async (t) => {
  const { accept } = await socketRig(t)
  const { socket, client } = await accept()
  const sends: [data: unknown, options: object | undefined, isBinary: boolean][] = [
    ['a', undefined, false],
    ['a', { binary: true }, true],
    [Buffer.from('a'), undefined, true],
    [Buffer.from('a'), { binary: false }, false],
    [Buffer.from('a'), {}, true]
  ]
  for (const [data, options, isBinary] of sends) {
    socket.send(data, options)
    t.equal((await client.nextRaw()).isBinary, isBinary)
  }
})

t.test('small messages of one turn leave in one write', async (t) => {
  const { socket, client } = await rawPair(t)
  let chunks = 0
  client.net.on('data', () => chunks++)
  for (let i = 0; i < 100; i++) socket.send(String(i))
  for (let i = 0; i < 100; i++) t.equal((await client.nextFrame()).text, String(i))
  t.equal(chunks, 1)
})

t.test('pings, pongs and closes stand behind what was sent before them', async (t) => {
  const { socket, client } = await rawPair(t)
  socket.send('1')
  socket.ping('2')
  socket.send('3')
  socket.pong('4')
  socket.send('heartbeat next')
  socket.sendPing(pingFrame(Buffer.from('heartbeat')))
  socket.outbox.deliver(textFrame('5'), 1)
  socket.close(4000, 'bye')
  const frames = []
  for (let i = 0; i < 8; i++) frames.push(await client.nextFrame())
  t.same(
    frames.map(({ opcode, payload }) => [opcode, payload.toString('utf8', opcode === opcodes.close ? 2 : 0)]),
    [
      [opcodes.text, '1'],
      [opcodes.ping, '2'],
      [opcodes.text, '3'],
      [opcodes.pong, '4'],
      [opcodes.text, 'heartbeat next'],
      [opcodes.ping, 'heartbeat'],
      [opcodes.text, '5'],
      [opcodes.close, 'bye']
    ]
  )
})

t.test('nothing follows the close frame', async (t) => {
  const { socket, client, turn } = await rawPair(t)
  socket.close(4000)
  socket.outbox.deliver(textFrame('published'), 1)
  socket.sendJson('json')
  socket.sendError('internal')
  turn.flush()
  const rejected = new Promise((resolve) => socket.send('late', resolve))
  socket.send('later')
  t.match(await rejected, { message: /not open/ })
  t.match(await client.nextFrame(), { opcode: opcodes.close })
  client.send({ opcode: opcodes.close, payload: Buffer.from([0x0f, 0xa0]) })
  await client.ended()
  t.equal(client.unread.length, 0)
})

t.test('terminating gives the kernel what was sent before', async (t) => {
  const { accept } = await socketRig(t)
  const { socket, client } = await accept()
  socket.send('last words')
  socket.terminate()
  t.match(await client.next(), 'last words')
  t.match(await client.closed(), { code: 1006 })
})

t.test('a fragmented message: nothing goes between, control frames do', async (t) => {
  const { socket, client } = await rawPair(t)
  socket.send('one ', { fin: false })
  socket.sendJson({ from: 'elsewhere' })
  socket.outbox.deliver(textFrame('published'), 1)
  await new Promise(setImmediate)
  socket.ping('p')
  socket.send('message', { fin: true })
  const frames = []
  for (let i = 0; i < 5; i++) frames.push(await client.nextFrame())
  t.same(
    frames.map(({ fin, opcode, text }) => [fin, opcode, text]),
    [
      [false, opcodes.text, 'one '],
      [true, opcodes.ping, 'p'],
      [true, opcodes.continuation, 'message'],
      [true, opcodes.text, '{"from":"elsewhere"}'],
      [true, opcodes.text, 'published']
    ]
  )
})

t.test('a fragmented message ends with a plain send, too', async (t) => {
  const { accept } = await socketRig(t)
  const { socket, client } = await accept()
  socket.send('a', { fin: false })
  socket.send('b', { fin: false })
  socket.send('c')
  socket.send('next')
  t.same(await texts(client, 2), ['abc', 'next'])
})

t.test('large messages, up and down', async (t) => {
  const { accept } = await socketRig(t, { kind: 'raw', limits: { maxPayload: 4_000_000 } })
  const { socket, client } = await accept()
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
  const large = Buffer.alloc(3_000_000, 'ä')
  client.sendRaw(large)
  t.ok((await client.nextRaw()).data.equals(large))
  client.sendRaw(large.toString())
  t.ok((await client.nextRaw()).data.equals(large))
})

t.test('sizes are counted whatever form messages come in', async (t) => {
  for (const binaryType of ['nodebuffer', 'arraybuffer', 'fragments'] as const) {
    const { socket, client, eventsOf } = await rawPair(t, { kind: 'raw' })
    socket.binaryType = binaryType
    const received = next(socket, 'message')
    client.send({ opcode: opcodes.binary, payload: 'abc', fin: false }, { opcode: 0, payload: 'de' })
    await received
    t.same(eventsOf('received'), [['received', 5]], binaryType)
  }
  const { socket } = await rawPair(t)
  socket.send(undefined)
  socket.send(null)
  t.equal(socket.stats.messagesOut, 2)
})

t.test('a reader that stops: 4008, and its memory is free a second later', async (t) => {
  for (const perMessageDeflate of [false, true]) {
    const limits = { buffered: { soft: 65_536, hard: 262_144 } }
    const { accept, clock, eventsOf, logs } = await socketRig(t, { perMessageDeflate, limits })
    const { socket, client } = await accept()
    client.raw.pause()
    // Noise, or compression would leave nothing to wait.
    const noise = Buffer.from(Array.from({ length: 16_000 }, () => Math.floor(Math.random() * 256)))
    let sent = 0
    while (!socket.closed && sent < 4_000) {
      socket.send(noise)
      sent++
      if (sent % 20 === 0) await new Promise(setImmediate)
    }
    t.ok(socket.closed)
    t.ok(socket.bufferedAmount > 0)
    t.match(logs, [['info', { connection: 'socket-1', bytes: Number }, 'slow reader closed']])
    const closed = next(socket, 'close')
    clock.advance(900)
    t.equal(eventsOf('closed').length, 0)
    clock.advance(200)
    await closed
    await new Promise(setImmediate)
    t.same(eventsOf('closed'), [['closed', 4008]])
    // What waited to be compressed ws goes on counting, until nobody holds the socket any more.
    if (!perMessageDeflate) t.equal(socket.bufferedAmount, 0)
    socket.overflowed()
    t.equal(eventsOf('closed').length, 1)
  }
})

t.test('a reader that lags is told what was dropped, and the channels that it has caught up', async (t) => {
  const { accept, eventsOf } = await socketRig(t, { limits: { buffered: { soft: 65_536, hard: 64_000_000 } } })
  const { socket, client } = await accept()
  client.raw.pause()
  const publication = textFrame('p'.padEnd(32_000, '.'))
  while (socket.stats.dropped === 0) {
    socket.outbox.deliver(publication, 1)
    await new Promise(setImmediate)
  }
  const { messagesOut } = socket.stats
  t.ok(socket.outbox.lagging)
  client.raw.resume()
  for (let i = 0; i < messagesOut; i++) await client.nextRaw()
  t.same(await client.next(), { notice: { code: 'lagging', dropped: 1 } })
  t.match(await client.next(), /^p/)
  t.match(eventsOf('caught up'), [['caught up']])
  t.equal(socket.bufferedAmount, 0)
})
