import t from 'tap'
import { frame, opcodes } from '../support/raw-socket.ts'
import { next, rawPair, socketRig } from '../support/socket-rig.ts'

/* What comes from a client: rates, queues, and who is given it. */

t.test('too many messages are refused, and the order of the others is kept', async (t) => {
  const { accept, clock, eventsOf } = await socketRig(t, { limits: { messages: { rate: 10, burst: 3 } } })
  const { socket, client } = await accept()
  for (let i = 0; i < 5; i++) client.send(i)
  const refusal = { error: { code: 'rate_limited', retryAfter: 100, dropped: 1 } }
  t.match([await client.next(), await client.next()], [refusal, refusal])
  clock.advance(100)
  client.send(5)
  client.send(6)
  t.match(await client.next(), refusal)
  const messages = socket.messages()
  const seen: unknown[] = []
  for (let i = 0; i < 4; i++) seen.push((await messages.next()).value)
  t.same(seen, [0, 1, 2, 5])
  t.equal(socket.stats.rejected, 3)
  t.same(eventsOf('rejected'), Array(3).fill(['rejected', 'rate_limited']))
})

t.test('case 138: at most ten answers a second, each with the count since the last, and an end', async (t) => {
  const { client, clock, socket } = await rawPair(t, { limits: { messages: { rate: 0.001, burst: 1 } } })
  const flood = (count: number) => client.write(Buffer.concat(Array.from({ length: count }, () => frame({}))))
  const handled = async (count: number) => {
    while (socket.stats.messagesIn < count) await new Promise(setImmediate)
  }
  flood(1_001)
  await handled(1_001)
  for (let n = 0; n < 10; n++) {
    t.match(JSON.parse((await client.nextFrame()).text), {
      error: { code: 'rate_limited', dropped: 1, retryAfter: Number }
    })
  }
  clock.advance(1_000)
  t.match(JSON.parse((await client.nextFrame()).text), { error: { code: 'rate_limited', dropped: 990 } })
  t.notOk(socket.closed)
  flood(10_000)
  await handled(2_000)
  t.match(await client.closeFrame(), { code: 4429, reason: 'rate limited' })
  await new Promise(setImmediate)
  t.ok(socket.stats.messagesIn < 11_001, 'what comes behind it is not looked at')
  t.ok(socket.isPaused, 'nor read')
  clock.advance(1_050)
  await client.ended()
})

/* A request that came too fast had no reply with its id: the client waited for its timeout. */
t.test('a request past the rate is answered by its id, within the same bound', async (t) => {
  const { accept, clock, eventsOf } = await socketRig(t, { limits: { messages: { rate: 10, burst: 1 } } })
  const { socket, client } = await accept()
  socket.begin({ respond: (data) => data, requests: false, queued: false }, undefined)
  client.send({ id: 1, request: 'a' })
  t.same(await client.next(), { id: 1, reply: 'a' })
  client.send({ text: 'plain' })
  for (let id = 2; id <= 20; id++) client.send({ id, request: 'too fast' })
  t.match(await client.next(), { error: { code: 'rate_limited', retryAfter: 100, dropped: 1 } })
  for (let id = 2; id <= 10; id++) {
    t.match(await client.next(), { id, error: { code: 'rate_limited', message: String, retryAfter: 100 } })
  }
  while (socket.stats.messagesIn < 21) await new Promise(setImmediate)
  clock.advance(1_050)
  t.match(await client.next(), { error: { code: 'rate_limited', dropped: 10 } }, 'the others, in one')
  t.equal(eventsOf('rejected').length, 20)
})

t.test('bytes are limited as messages are', async (t) => {
  const { accept, clock, eventsOf } = await socketRig(t, { limits: { bytes: { rate: 1_000, burst: 1_000 } } })
  const { socket, client } = await accept()
  client.send('x'.repeat(1_998))
  client.send('too much')
  t.match(await client.next(), { error: { code: 'rate_limited', retryAfter: 1_000, dropped: 1 } })
  clock.advance(1_000)
  client.send('paid for')
  const messages = socket.messages()
  await messages.next()
  t.equal((await messages.next()).value, 'paid for')
  t.same(eventsOf('rejected'), [['rejected', 'rate_limited']])
})

t.test('case 142: a raw route’s client is paused for one interval at most, and then judged', async (t) => {
  const limits = { messages: { rate: 5, burst: 5 } }
  const { socket, client, clock, eventsOf } = await rawPair(t, { kind: 'raw', limits })
  client.write(Buffer.concat(Array.from({ length: 10_000 }, () => frame({}))))
  while (socket.stats.messagesIn < 10_000) await new Promise(setImmediate)
  t.ok(socket.isPaused)
  clock.advance(25_050)
  t.notOk(socket.isPaused, 'the debt is paid')
  t.same(eventsOf('heartbeat timeout'), [])
  for (let second = 0; second < 35; second++) clock.advance(1_000)
  t.same(eventsOf('heartbeat timeout'), [['heartbeat timeout']])
  await client.ended()
})

t.test('bytes slow a plain route down too', async (t) => {
  const { accept, clock } = await socketRig(t, { kind: 'raw', limits: { bytes: { rate: 1_000, burst: 10 } } })
  const { socket, client } = await accept()
  const seen = next(socket, 'message')
  client.send('x'.repeat(500))
  await seen
  t.ok(socket.isPaused)
  clock.advance(550)
  t.notOk(socket.isPaused)
})

t.test('without a limit nothing is refused', async (t) => {
  const { accept } = await socketRig(t, { limits: { messages: false, maxQueue: 1_000 } })
  const { socket, client } = await accept()
  for (let i = 0; i < 500; i++) client.send(i)
  await client.expectNothing()
  t.equal(socket.stats.queued, 500)

  const plain = await socketRig(t, { kind: 'raw', limits: { messages: false } })
  const other = await plain.accept()
  for (let i = 0; i < 500; i++) other.client.send(i)
  await other.client.expectNothing()
  t.match(other.socket.stats, { messagesIn: 500, queued: 0, rejected: 0 })
  t.notOk(other.socket.isPaused)
})

t.test('a user’s messages count over all connections', async (t) => {
  let wait = 0
  const userRate = () => wait
  const limits = { messages: false, userMessages: { rate: 1, burst: 1 } } as const
  const { accept } = await socketRig(t, { limits, userRate })
  const { socket, client } = await accept()
  client.send('in time')
  t.match(await socket.messages().next(), { value: 'in time' })
  wait = 70
  client.send('too many')
  t.match(await client.next(), { error: { code: 'rate_limited', retryAfter: 70 } })

  const anonymous = await socketRig(t, { limits, userRate, user: null })
  const other = await anonymous.accept()
  other.client.send('nobody')
  t.match(await other.socket.messages().next(), { value: 'nobody' })
})

t.test('a plain route is slowed down, and loses nothing', async (t) => {
  const { accept, clock, eventsOf } = await socketRig(t, { kind: 'raw', limits: { messages: { rate: 10, burst: 5 } } })
  const { socket, client } = await accept()
  const seen: number[] = []
  socket.on('message', (data) => {
    seen.push(Number(data))
    socket.emit(`seen ${seen.length}`)
  })
  const last = next(socket, 'seen 6')
  for (let i = 0; i < 6; i++) client.send(i)
  await last
  t.ok(socket.isPaused)
  t.match(eventsOf('rejected'), [['rejected', 'rate_limited']])
  for (let i = 6; i < 20; i++) client.send(i)
  while (seen.length < 20) {
    clock.advance(100)
    await new Promise(setImmediate)
  }
  t.same(
    seen,
    Array.from({ length: 20 }, (_, i) => i)
  )
  clock.advance(10_000)
  t.notOk(socket.isPaused)
})

t.test('who paused resumes: the application’s own pause is respected', async (t) => {
  const { accept, clock } = await socketRig(t, { kind: 'raw', limits: { messages: { rate: 10, burst: 1 } } })
  const { socket, client } = await accept()
  let seen = 0
  socket.on('message', () => {
    seen++
    if (seen === 2) socket.emit('seen two')
  })
  const two = next(socket, 'seen two')
  client.send(1)
  client.send(2)
  await two
  socket.pause()
  clock.advance(10_000)
  t.ok(socket.isPaused, 'the rate alone would let it go on')
  socket.resume()
  t.notOk(socket.isPaused)
  const again = next(socket, 'message')
  client.send(3)
  await again
  t.equal(seen, 3)
})

t.test('the application’s resume() does not undo ours', async (t) => {
  const { accept } = await socketRig(t, { limits: { maxQueue: 2 } })
  const { socket, client } = await accept()
  client.send(1)
  client.send(2)
  client.send(3)
  while (socket.stats.queued < 2) await new Promise(setImmediate)
  socket.resume()
  t.ok(socket.isPaused)
  const messages = socket.messages()
  for (const expected of [1, 2, 3]) t.equal((await messages.next()).value, expected)
  t.notOk(socket.isPaused)
})

t.test('messages of one chunk are all kept, however small the queue', async (t) => {
  const { socket, client } = await rawPair(t, { limits: { maxQueue: 4, messages: false } })
  client.send(...Array.from({ length: 200 }, (_, i) => ({ payload: String(i) })))
  const messages = socket.messages()
  for (let i = 0; i < 200; i++) t.equal((await messages.next()).value, i)
})

t.test('a pause after the close is none, or the answer would never be read', async (t) => {
  const { accept } = await socketRig(t, { kind: 'raw' })
  const { socket, client } = await accept()
  socket.pause()
  socket.close(1000)
  t.notOk(socket.isPaused)
  socket.pause()
  t.notOk(socket.isPaused)
  t.match(await client.closed(), { code: 1000 })
})

t.test('a flood of pings, or of pongs that nobody asked for, is abuse', async (t) => {
  for (const opcode of [opcodes.ping, opcodes.pong]) {
    const { socket, client, clock } = await rawPair(t, { kind: 'raw', limits: { messages: false } })
    const flood = Buffer.concat(Array.from({ length: 250 }, () => frame({ opcode, payload: 'x' })))
    let count = 0
    socket.on(opcode === opcodes.ping ? 'ping' : 'pong', () => {
      if (++count % 250 === 0) socket.emit('all')
    })
    for (let i = 0; i < 22 && !socket.closed; i++) {
      const all = next(socket, 'all')
      client.write(flood)
      await all
      clock.advance(500)
    }
    t.equal((await client.closeFrame()).code, 4429)
  }
})

t.test('pings past the rate are not answered, and what is sent goes on', async (t) => {
  const { socket, client, clock } = await rawPair(t)
  client.write(
    Buffer.concat(Array.from({ length: 300 }, (_, i) => frame({ opcode: opcodes.ping, payload: String(i) })))
  )
  for (let i = 0; i < 200; i++) t.match(await client.nextFrame(), { opcode: opcodes.pong, text: String(i) })
  clock.advance(1_000)
  const pinged = next(socket, 'ping')
  client.send({ opcode: opcodes.ping, payload: 'again' })
  await pinged
  t.match(await client.nextFrame(), { opcode: opcodes.pong, text: 'again' })
})

t.test('an application that answers pings itself does so alone', async (t) => {
  const { socket, client } = await rawPair(t, { autoPong: false })
  socket.on('ping', (data) => socket.pong(`mine: ${data}`))
  client.send({ opcode: opcodes.ping, payload: 'a' })
  t.match(await client.nextFrame(), { text: 'mine: a' })
})

t.test('a validator’s failure is logged, and no end', async (t) => {
  const validator = () => {
    throw new Error('broken schema')
  }
  const { accept, logs } = await socketRig(t, { validator })
  const { socket, client } = await accept()
  void socket.messages().next()
  client.send(1)
  t.match(await client.next(), { error: { code: 'internal', message: 'Internal error' } })
  t.match(logs, [['error', { err: { message: 'broken schema' } }, 'message validator failed']])
  t.notOk(socket.closed)
})

t.test('binary messages and the JSON of nobody are answered', async (t) => {
  const { accept } = await socketRig(t)
  const { socket, client } = await accept()
  void socket.messages().next()
  client.sendRaw(Buffer.from('{}'))
  t.match(await client.next(), { error: { code: 'unsupported_data' } })
  client.sendRaw('')
  t.match(await client.next(), { error: { code: 'invalid_json' } })
})
