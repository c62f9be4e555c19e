import t from 'tap'
import { ChannelError, forbidden } from '../../lib/index.ts'
import { testToken } from '../../lib/testing/index.ts'
import { buildApp } from '../support/app.ts'
import { connect } from '../support/connect.ts'
import { frame, opcodes, rawUpgrade } from '../support/raw-socket.ts'
import { Speaker } from '../support/speaker.ts'

/* Bounds in bytes, and on how often. The numbers are those of the list of cases. */

const MIB = 1024 * 1024

/** A client of the channel protocol that has connected. */
async function channelClient(app: Parameters<typeof connect>[0]) {
  const client = await connect(app, '/connection/websocket', { token: testToken() })
  let id = 1
  const call = async (command: object): Promise<Record<string, unknown>> => {
    client.send({ id: ++id, ...command })
    return client.next()
  }
  client.send({ id: 1, connect: {} })
  await client.next()
  return { client, call }
}

t.test('case 134: 1 MB after 1 MB to 50 channels takes no more memory than the total', async (t) => {
  // The heap of earlier tests must not count: what is kept are buffers, which the process counts by themselves.
  const { app } = await buildApp(t, { limits: { memoryHistory: 32 * MIB } })
  app.channel('rooms/:room', { history: { size: 1_000, ttl: 600_000 } })
  await app.ready()
  const before = process.memoryUsage().arrayBuffers
  const data = 'x'.repeat(1_000_000)
  for (let n = 0; n < 300; n++) await app.realtime.publish(`rooms/${n % 50}`, data)
  let kept = 0
  let told = 0
  for (let n = 0; n < 50; n++) {
    const { publications, offset } = await app.realtime.history(`rooms/${n}`)
    kept += publications.length
    t.equal(offset, 6, 'what is gone was counted')
    if (publications[0]?.offset !== 1) told++
  }
  t.ok(kept > 20 && kept <= 33, `${kept} publications of 1 MB are kept`)
  t.equal(told, 50, 'each has lost some, and its offsets say so')
  global.gc?.()
  const grown = process.memoryUsage().arrayBuffers - before
  t.ok(grown < 100 * MIB, `of 300 MB, ${Math.round(grown / MIB)} MiB at most wait to be collected`)
})

t.test('case 134: the bytes of one channel are bounded too', async (t) => {
  const { app } = await buildApp(t, {})
  app.channel('default/:room', { history: { size: 1_000, ttl: 600_000 } })
  app.channel('small/:room', { history: { size: 1_000, ttl: 600_000, maxBytes: 100_000 } })
  await app.ready()
  for (let n = 0; n < 20; n++) {
    await app.realtime.publish('default/a', 'x'.repeat(1_000_000))
    await app.realtime.publish('small/a', 'x'.repeat(30_000))
  }
  const offsets = async (channel: string) =>
    (await app.realtime.history(channel)).publications.map(({ offset }) => offset)
  t.same(await offsets('default/a'), [13, 14, 15, 16, 17, 18, 19, 20], '8 MiB')
  t.same(await offsets('small/a'), [18, 19, 20])
})

t.test('case 135: a publication of 2 MiB is refused, however it is published', async (t) => {
  const { app, logs } = await buildApp(t, { limits: { maxPayload: 4 * MIB } })
  app.channel('rooms/:room', { history: { size: 10, ttl: 60_000 }, onSubscribe: () => {}, onPublish: () => {} })
  app.ws('/rooms', async (socket) => {
    for await (const message of socket.messages()) {
      const outcome = socket.publish('rooms/a', message)
      socket.sendJson(await outcome.catch(({ code, statusCode }) => ({ code, statusCode })))
    }
  })
  const large = 'x'.repeat(2 * MIB)
  const tooLarge = { code: 'FST_RT_PUBLICATION_TOO_LARGE', statusCode: 413 }
  await t.rejects(app.realtime.publish('rooms/a', large), tooLarge)
  const socket = await connect(app, '/rooms', { token: testToken() })
  socket.send(large)
  t.match(await socket.next(), tooLarge)
  const { call } = await channelClient(app)
  t.match(await call({ subscribe: { channel: 'rooms/a' } }), { subscribe: { offset: 0 } })
  t.match(await call({ publish: { channel: 'rooms/a', data: large } }), { error: { code: 106 } })
  t.match(await app.realtime.history('rooms/a'), { publications: [], offset: 0 }, 'nothing is published')
  t.match(await call({ publish: { channel: 'rooms/a', data: 'x' } }), { push: { pub: { offset: 1 } } })
  t.same(
    logs.filter(({ level }) => level > 30),
    []
  )
})

t.test('case 135: the limit is on the bytes of the JSON text, and a larger message still ends with 1009', async (t) => {
  const { app } = await buildApp(t, { limits: { publication: 10, maxPayload: 200 } })
  app.channel('a', { onSubscribe: () => {}, onPublish: () => {} })
  await app.ready()
  await app.realtime.publish('a', 'x'.repeat(8))
  await t.rejects(app.realtime.publish('a', 'ä'.repeat(8)), { code: 'FST_RT_PUBLICATION_TOO_LARGE' })
  const { client, call } = await channelClient(app)
  t.match(await call({ subscribe: { channel: 'a' } }), { subscribe: {} })
  t.match(await call({ publish: { channel: 'a', data: 'x'.repeat(9) } }), { error: { code: 106 } })
  client.send({ id: 9, publish: { channel: 'a', data: 'x'.repeat(200) } })
  t.match(await client.closed(), { code: 1009 })
})

const empty = frame({})

t.test('case 138: a flood of empty frames ends, and costs ten answers a second', async (t) => {
  const { app } = await buildApp(t, {})
  app.ws('/', async (socket) => {
    for await (const message of socket.messages()) socket.sendJson({ echo: message })
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const token = testToken()
  const other = await connect(app, '/', { token })
  const flooding = await rawUpgrade((app.server.address() as { port: number }).port, {
    protocols: ['realtime.v1', `bearer.${token}`]
  })
  const started = performance.now()
  const errors: { code: string; dropped: number }[] = []
  const flood = Buffer.concat(Array.from({ length: 1_000 }, () => empty))
  flooding.net.on('error', () => undefined)
  const timer = setInterval(() => flooding.write(flood), 50)
  t.teardown(() => clearInterval(timer))
  let answer = await flooding.nextFrame()
  for (; answer.opcode !== opcodes.close; answer = await flooding.nextFrame()) {
    const { error } = JSON.parse(answer.text)
    if (error.code === 'rate_limited') errors.push(error)
  }
  clearInterval(timer)
  t.equal(answer.payload.readUInt16BE(0), 4429)
  const seconds = Math.ceil((performance.now() - started) / 1_000)
  t.ok(errors.length >= 10 && errors.length <= 10 * seconds, `${errors.length} answers in ${seconds} s`)
  other.send('still here')
  t.match(await other.next(), { echo: 'still here' })
})

t.test('case 138: bouts with pauses between them end a connection as well', async (t) => {
  const { app } = await buildApp(t, { auth: false, limits: { messages: { rate: 0.001, burst: 1 } } })
  app.ws('/', async (socket) => {
    for await (const message of socket.messages()) socket.sendJson({ echo: message })
  })
  const client = await connect(app, '/')
  // Each bout is over the rate, and in none of them it is for long: what counts is all of them together.
  for (let bout = 0; bout < 5; bout++) {
    for (let n = 0; n < 1_000; n++) client.send(n)
    await client.next()
  }
  t.match(await client.closed(), { code: 4429 })
})

t.test('case 139: 1 MB from somebody without a token ends with 3501, whole or half sent', async (t) => {
  const { app } = await buildApp(t, { channels: { onConnect: () => void t.fail('nothing is asked') } })
  app.channel('a')
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as { port: number }
  const connectMessage = JSON.stringify({ id: 1, connect: { data: 'x'.repeat(MIB - 100) } })
  const whole = frame({ payload: connectMessage })
  // Connections without a token are let in to bring it in `connect`.
  for (const bytes of [whole, whole.subarray(0, whole.length - 1), whole.subarray(0, 80_000)]) {
    const client = await rawUpgrade(port, { path: '/connection/websocket' })
    t.equal(client.response.statusCode, 101)
    client.net.on('error', () => undefined)
    client.write(bytes)
    t.match(await client.closeFrame(), { code: 3501, reason: 'bad request' })
  }
})

t.test('case 140: history of 1 MB, asked for all the time: as many bytes as are paid for', async (t) => {
  const bytes = { rate: MIB, burst: 4 * MIB }
  const { app } = await buildApp(t, { limits: { bytes, messages: false, buffered: { hard: 64 * MIB } } })
  app.channel('h', { history: { size: 1_000, ttl: 600_000 }, onSubscribe: () => {} })
  await app.ready()
  for (let n = 0; n < 10; n++) await app.realtime.publish('h', 'x'.repeat(100_000))
  const speaker = await Speaker.open(app, { token: testToken() })
  speaker.send({ id: 2, subscribe: { channel: 'h' } })
  await speaker.next()
  const started = performance.now()
  const asked = 50
  for (let n = 0; n < asked; n++) speaker.send({ id: 100 + n, history: { channel: 'h', limit: -1 } })
  let refused = 0
  for (let n = 0; n < asked; n++) {
    const { error } = await speaker.next()
    if (error === undefined) continue
    t.match(error, { code: 111, temporary: true })
    refused++
  }
  // What was left of the bucket, what came in meanwhile, and the one that was asked for last.
  const paid = 5 + Math.ceil((performance.now() - started) / 1_000)
  t.ok(asked - refused >= 4 && asked - refused <= paid, `${asked - refused} answered, ${paid} paid for`)
})

t.test('case 180: one client that comes and goes, on a channel where many are told', async (t) => {
  const { app } = await buildApp(t, {
    auth: false,
    limits: { bytes: { rate: 1_000, burst: 100_000 }, messages: false }
  })
  app.channel('crowd', { joinLeave: true, onSubscribe: () => {} })
  await app.ready()
  const told = await Promise.all(Array.from({ length: 20 }, () => channelClient(app)))
  for (const { call } of told) await call({ subscribe: { channel: 'crowd', join_leave: true } })
  const { call } = await channelClient(app)
  let done = 0
  let refused: unknown
  while (refused === undefined && done < 100) {
    const answers = [await call({ subscribe: { channel: 'crowd' } }), await call({ unsubscribe: { channel: 'crowd' } })]
    refused = answers.find(({ error }) => error !== undefined)
    done++
  }
  t.match(refused, { error: { code: 111 } })
  t.ok(done < 10, `refused after ${done} times, each of which cost 40 KiB`)
})

t.test('case 141: channel names of 1 MB are refused, and no line of the log is longer than 1 KB', async (t) => {
  const { app, logs } = await buildApp(t, { limits: { bytes: false, messages: false } })
  const quote = ({ channel }: { channel: string }) => {
    throw new ChannelError(103, channel)
  }
  app.channel('*', { onSubscribe: quote, onPublish: () => {} })
  const { call } = await channelClient(app)
  const channel = 'x'.repeat(1_000_000)
  for (const name of ['subscribe', 'unsubscribe', 'publish', 'history', 'presence', 'presence_stats', 'sub_refresh']) {
    t.match(await call({ [name]: { channel, token: 'x', data: 1 } }), { error: { code: 107 } }, name)
  }
  t.match(await call({ rpc: { method: channel } }), { error: { code: 104 } })
  for (const name of ['"'.repeat(255), 'ä'.repeat(127)]) {
    t.match(await call({ subscribe: { channel: name } }), { error: { code: 103 } })
  }
  const denied = logs.filter(({ msg }) => msg === 'channel command denied')
  t.equal(denied.length, 2)
  for (const line of logs) t.ok(JSON.stringify(line).length < 1_024, String(line.msg))
})

t.test('case 141: nor is one that quotes a client in an error', async (t) => {
  const { app, logs } = await buildApp(t, { auth: false })
  app.ws('/', async (socket) => {
    for await (const message of socket.messages())
      throw Object.assign(new Error(`no ${message}`), { message, stack: '' })
  })
  const client = await connect(app, '/')
  client.send('x'.repeat(500_000))
  t.match(await client.closed(), { code: 1011 })
  const failed = logs.find(({ msg }) => msg === 'socket handler failed')
  t.match(failed, { err: { message: /^x{256}…$/ } })
  t.ok(JSON.stringify(failed).length < 1_024)
})

t.test('a validator’s findings quote no more of a message than its client may need', async (t) => {
  const { app } = await buildApp(t, { auth: false })
  const message = { type: 'object', additionalProperties: false, properties: {}, maxProperties: 0 }
  app.ws('/', { schema: { message } }, async (socket) => {
    for await (const _ of socket.messages());
  })
  const client = await connect(app, '/')
  client.send({ ['x'.repeat(500_000)]: 1 })
  const answer = await client.next()
  t.match(answer, { error: { code: 'invalid_message', issues: [Object] } })
  t.ok(JSON.stringify(answer).length < 4_096)
})

t.test('case 143: a key is remembered, however many others come', async (t) => {
  const { app } = await buildApp(t, {})
  app.channel('b/:x', { history: { size: 10, ttl: 60_000 } })
  await app.ready()
  const mine = () => app.realtime.publish('b/mine', { pay: 1 }, { idempotencyKey: 'payment' })
  const first = await mine()
  // The first version remembered 100,000. That many are published in the broker's own test.
  for (let n = 0; n < 1_000; n++) await app.realtime.publish('b/other', n, { idempotencyKey: `k${n}` })
  t.same(await mine(), first)
  t.equal((await app.realtime.history('b/mine')).publications.length, 1)
})

t.test('case 141: what was denied is logged, also if there is neither a user nor a channel', async (t) => {
  const { app, logs } = await buildApp(t, { auth: false })
  app.rpc('no', () => {
    throw forbidden()
  })
  const speaker = await Speaker.open(app)
  t.match(await speaker.call({ rpc: { method: 'no' } }), { error: { code: 103 } })
  const line = logs.find(({ msg }) => msg === 'channel command denied')
  t.match(line, { connection: String, command: 'rpc' })
  t.same([line?.user, line?.channel], [undefined, undefined])
})

t.test('case 141: whatever a client makes fail, again and again, is a few lines in the log', async (t) => {
  const unlimited = { bytes: false, messages: false } as const
  const { app, logs } = await buildApp(t, { auth: false, limits: unlimited })
  const fail = () => {
    throw new Error('the database is away')
  }
  app.rpc('fails', fail)
  app.channel('quiet', { onSubscribe: true, onUnsubscribe: fail })
  app.channel('closed', { onSubscribe: fail })
  app.ws('/requests', { respond: fail }, async (socket) => {
    for await (const _ of socket.messages());
  })
  const speaker = await Speaker.open(app)
  for (let n = 0; n < 100; n++) {
    t.match(await speaker.call({ rpc: { method: 'fails' } }), { error: { code: 100 } })
    t.match(await speaker.call({ subscribe: { channel: 'closed' } }), { error: { code: 100 } })
    await speaker.call({ subscribe: { channel: 'quiet' } })
    await speaker.call({ unsubscribe: { channel: 'quiet' } })
  }
  const client = await connect(app, '/requests')
  for (let id = 1; id <= 300; id++) {
    client.send({ id, request: 1 })
    t.match(await client.next(), { id, error: { code: 'internal' } })
  }
  const count = (message: string) => logs.filter(({ msg }) => msg === message).length
  const channels = count('channel command failed') + count('channel hook failed')
  t.ok(channels >= 10 && channels < 100, `${channels} of 300`)
  const requests = count('request failed')
  t.ok(requests >= 10 && requests < 100, `${requests} of 300`)
})
