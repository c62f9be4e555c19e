import { createHash } from 'node:crypto'
import t, { type Test } from 'tap'
import type { RealtimeOptions } from '../../lib/options/options.ts'
import { ERROR, forbidden } from '../../lib/protocol/channel-errors.ts'
import { type TestSocket, testToken } from '../../lib/testing/index.ts'
import { atLeast, buildApp } from '../support/app.ts'
import { connect } from '../support/connect.ts'
import { Speaker } from '../support/speaker.ts'

/*
 * What clients send on app.ws routes, case by case: each is answered, the connection goes on, and others are as before.
 */

const SCHEMA = {
  type: 'object',
  required: ['text'],
  additionalProperties: false,
  properties: { text: { type: 'string', maxLength: 1000 }, to: { type: 'string' } }
}

/** An app with an echo (`/json`), rooms (`/rooms/:room`), and whoever misbehaves (`/faulty/:how`). */
async function build(t: Test, options: RealtimeOptions = {}) {
  const built = await buildApp(t, options, {
    fastify: { ajv: { customOptions: { coerceTypes: false, removeAdditional: false } } }
  })
  const { app } = built
  app.ws('/json', { schema: { message: SCHEMA } }, async (socket) => {
    for await (const message of socket.messages()) socket.sendJson({ echo: message })
  })
  app.ws('/any', async (socket) => {
    for await (const message of socket.messages()) socket.sendJson({ echo: message })
  })
  app.ws('/rooms/:room', async (socket, request) => {
    const room = `rooms/${(request.params as { room: string }).room}`
    await socket.subscribe(room)
    socket.sendJson('ready')
    for await (const message of socket.messages()) await socket.publish(room, message)
  })
  return built
}

async function open(app: Parameters<typeof connect>[0], path: string, sub = 'user-1'): Promise<TestSocket> {
  return connect(app, path, { token: testToken({ sub }) })
}

async function isFine(t: Test, client: TestSocket): Promise<void> {
  client.send({ text: 'fine' })
  t.strictSame(await client.next(), { echo: { text: 'fine' } })
}

const codeOf = async (client: TestSocket) => (await client.next<{ error?: { code: string } }>()).error?.code

t.test('C61: what is no message of the route is answered', async (t) => {
  const { app, logs } = await build(t)
  const client = await open(app, '/json')
  for (const text of ['not json', '', '\ufeff{"text":"a"}', "{'text':1}", '{"text":"a"', 'undefined', 'NaN']) {
    client.sendRaw(text)
    t.equal(await codeOf(client), 'invalid_json', text)
  }
  for (const text of ['null', '[]', '"x"', '1e999', '{}', '{"text":1}', '{"text":"\\ud800"}']) {
    client.sendRaw(text)
    t.equal(await codeOf(client), 'invalid_message', text)
  }
  await isFine(t, client)
  t.strictSame(atLeast(logs, 'warn'), [])
})

t.test('C61: faults count as messages', async (t) => {
  const { app } = await build(t, { limits: { messages: { rate: 0.001, burst: 3 } } })
  const client = await open(app, '/json')
  const codes: (string | undefined)[] = []
  for (let i = 0; i < 5; i++) {
    client.sendRaw('{')
    codes.push(await codeOf(client))
  }
  t.strictSame(codes, ['invalid_json', 'invalid_json', 'invalid_json', 'rate_limited', 'rate_limited'])
})

t.test('C62: no prototype is polluted', async (t) => {
  const { app } = await build(t)
  const client = await open(app, '/any')
  const attempts = [
    '{"__proto__":{"polluted":1}}',
    '{"a":{"__proto__":{"polluted":1}}}',
    '{"\\u005f_proto__":{"polluted":1}}',
    '{"constructor":{"prototype":{"polluted":1}}}',
    '[{"__proto__":{"polluted":1}}]'
  ]
  for (const text of attempts) {
    client.sendRaw(text)
    t.equal(await codeOf(client), 'invalid_message', text)
    t.equal(({} as { polluted?: number }).polluted, undefined)
  }
})

t.test('C63, C64: deep, wide and long texts are answered, by schema or as they are', async (t) => {
  const { app } = await build(t)
  const client = await open(app, '/json')
  client.sendRaw('['.repeat(10_000) + ']'.repeat(10_000))
  t.equal(await codeOf(client), 'too_deep')
  client.sendRaw(`${'{"a":'.repeat(65)}1${'}'.repeat(65)}`)
  t.equal(await codeOf(client), 'too_deep')
  const wide = [
    JSON.stringify(Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`k${i}`, i]))),
    JSON.stringify(Array.from({ length: 10_000 }, (_, i) => i)),
    '9'.repeat(50_000),
    JSON.stringify({ text: 'x'.repeat(1001) })
  ]
  for (const text of wide) {
    client.sendRaw(text)
    t.equal(await codeOf(client), 'invalid_message', text.slice(0, 30))
  }
  await isFine(t, client)
})

t.test('C65, C66: fields nobody knows, names of prototypes among them', async (t) => {
  const { app } = await build(t)
  const client = await open(app, '/json')
  for (const key of ['unknown', 'toString', 'hasOwnProperty', 'valueOf']) {
    client.send({ text: 'a', [key]: 1 })
    const { error } = await client.next<{ error: { code: string; issues: unknown[] } }>()
    t.equal(error.code, 'invalid_message', key)
    t.ok(error.issues.length > 0)
  }
  client.send({ text: 'a', to: 7 })
  t.equal(await codeOf(client), 'invalid_message')
  await isFine(t, client)
})

t.test('C28: binary messages are not for JSON routes', async (t) => {
  const { app } = await build(t)
  const client = await open(app, '/json')
  client.sendRaw(Buffer.from('{"text":"a"}'))
  t.equal(await codeOf(client), 'unsupported_data')
  await isFine(t, client)
})

t.test('C68: a handler that fails ends its own connection, is logged once, and tells nothing', async (t) => {
  const { app, logs } = await build(t)
  const faults: Record<string, (socket: { sendJson(value: unknown): void }) => unknown> = {
    throws: () => {
      throw new Error('secret detail')
    },
    rejects: () => Promise.reject(new Error('secret detail')),
    'throws nothing': () => {
      throw undefined
    },
    'sends a BigInt': (socket) => socket.sendJson(1n),
    'sends a cycle': (socket) => {
      const cycle: unknown[] = []
      cycle.push(cycle)
      socket.sendJson(cycle)
    }
  }
  app.ws('/faulty/:how', async (socket, request) => {
    for await (const _ of socket.messages()) await faults[(request.params as { how: string }).how]?.(socket)
  })
  const other = await open(app, '/json')
  for (const how of Object.keys(faults)) {
    logs.length = 0
    const client = await open(app, `/faulty/${encodeURIComponent(how)}`)
    client.send({})
    t.strictSame(await client.next(), { error: { code: 'internal', message: 'Internal error' } }, how)
    t.match(await client.closed(), { code: 1011 })
    const errors = atLeast(logs, 'error')
    t.equal(errors.length, 1, how)
    t.ok(errors[0]?.reqId)
  }
  await isFine(t, other)
})

t.test('C68: a handler that never settles is bounded in what waits for it', async (t) => {
  // Nor does it settle when the node drains: the end of the test would wait for the drain's timeout, 25 s.
  const { app } = await build(t, { limits: { messages: false }, drain: { window: 0, timeout: 500 } })
  app.ws('/stuck', async (socket) => {
    for await (const _ of socket.messages()) await new Promise(() => undefined)
  })
  const client = await open(app, '/stuck')
  const other = await open(app, '/json')
  for (let i = 0; i < 2_000; i++) client.sendRaw(JSON.stringify({ text: 'x'.repeat(500) }))
  await isFine(t, other)
  const queued = app.realtime.connections().find(({ route }) => route === '/stuck')?.stats.queued ?? 0
  t.ok(queued >= 1 && queued < 300, `${queued} wait; the rest is the sender's`)
  await client.terminate()
})

t.test('C69: a handler that blocks gets nobody taken for dead', async (t) => {
  const { app } = await build(t, { heartbeat: { interval: 200, timeout: 400 } })
  app.ws('/blocking', async (socket) => {
    for await (const _ of socket.messages()) {
      const end = Date.now() + 700
      while (Date.now() < end);
      socket.sendJson('done')
    }
  })
  const others = await Promise.all([1, 2, 3].map(() => open(app, '/json')))
  const blocking = await open(app, '/blocking')
  for (let i = 0; i < 3; i++) {
    blocking.send({})
    t.equal(await blocking.next(), 'done')
    for (const other of others) await isFine(t, other)
  }
})

t.test('C76: past the rate messages are refused, and the order of the others is kept', async (t) => {
  const { app } = await build(t, { limits: { messages: { rate: 5, burst: 20 } } })
  const client = await open(app, '/json')
  for (let i = 0; i < 100; i++) client.send({ text: String(i) })
  const taken: number[] = []
  let refused = 0
  while (taken.length + refused < 100) {
    const { echo, error } = await client.next<{
      echo?: { text: string }
      error?: { code: string; retryAfter: number; dropped: number }
    }>()
    if (echo) taken.push(Number(echo.text))
    else {
      refused += error?.dropped ?? 0
      t.equal(error?.code, 'rate_limited')
      t.ok((error?.retryAfter ?? 0) > 0)
    }
  }
  t.equal(taken.length + refused, 100, 'each was answered, or counted in an answer')
  t.ok(taken.length >= 20 && refused > 0)
  t.strictSame(
    taken,
    taken.toSorted((a, b) => a - b)
  )
})

t.test('C77: a reader that stops costs its limit and nobody else anything', async (t) => {
  const { app } = await build(t, { limits: { messages: false, buffered: { soft: 65_536, hard: 262_144 } } })
  app.ws('/flood', async (socket) => {
    const chunk = 'x'.repeat(65_536)
    for await (const _ of socket.messages()) socket.sendJson(chunk)
  })
  const slow = await open(app, '/flood')
  const other = await open(app, '/json')
  slow.raw.pause()
  const closing = new Promise<number>((resolve) => {
    const watch = () => {
      const connection = app.realtime.connections().find(({ route }) => route === '/flood')
      if (connection === undefined) return resolve(0)
      t.ok(connection.bufferedAmount < 262_144 + 4 * 65_536)
      for (let i = 0; i < 4 && slow.raw.readyState === 1; i++) slow.sendRaw('{}')
      setImmediate(watch)
    }
    watch()
  })
  await closing
  await isFine(t, other)
  slow.raw.resume()
  t.ok([4008, 1006].includes((await slow.closed()).code))
})

t.test('C78: who a client is, is not the client’s to say', async (t) => {
  const { app } = await build(t)
  app.channel('rooms/:room', { onSubscribe: true, history: { size: 10, ttl: 60_000 } })
  const [ann, bob] = [await open(app, '/rooms/a', 'ann'), await open(app, '/rooms/a', 'bob')]
  for (const client of [ann, bob]) await client.next()
  ann.send({ channel: 'rooms/b', offset: 99, epoch: 'mine', from: 'bob' })
  const { channel, offset, epoch, data } = await bob.next<Record<string, unknown>>()
  t.strictSame({ channel, offset }, { channel: 'rooms/a', offset: 1 })
  t.not(epoch, 'mine')
  t.strictSame(data, { channel: 'rooms/b', offset: 99, epoch: 'mine', from: 'bob' })
})

t.test('C80: asking for history again and again is a message like others, and bounded', async (t) => {
  const { app } = await build(t, { limits: { messages: { rate: 0.001, burst: 5 } } })
  app.channel('news', { onSubscribe: true, history: { size: 50, ttl: 60_000 } })
  app.ws('/since', async (socket) => {
    for await (const since of socket.messages()) {
      socket.unsubscribe('news')
      const { recovered } = await socket.subscribe('news', { since: since as never })
      socket.sendJson({ recovered })
    }
  })
  const { epoch } = await app.realtime.publish('news', 0)
  for (let i = 1; i < 100; i++) await app.realtime.publish('news', i)
  const client = await open(app, '/since')
  for (let i = 0; i < 10; i++) client.send({ offset: 60, epoch })
  const counts = { publications: 0, recovered: 0, refused: 0 }
  while (counts.recovered + counts.refused < 10) {
    const message = await client.next<Record<string, unknown>>()
    if ('recovered' in message) counts.recovered++
    else if ('error' in message) counts.refused++
    else counts.publications++
  }
  t.strictSame(counts, { publications: 5 * 40, recovered: 5, refused: 5 })
})

t.test('C82: what is published arrives as it was', async (t) => {
  const { app } = await build(t, { limits: { messages: false } })
  const [sender, receiver] = [await open(app, '/rooms/a'), await open(app, '/rooms/a')]
  for (const client of [sender, receiver]) await client.next()
  const hash = (value: unknown) => createHash('sha256').update(JSON.stringify(value)).digest('hex')
  const payloads = [
    '<script>alert(1)</script>',
    '\u2028\u2029\u0000\u001f"\\/',
    '🦊👩‍👩‍👧‍👦 é e\u0301',
    'x'.repeat(1024),
    'ü'.repeat(32 * 1024)
  ]
  for (const payload of payloads) {
    sender.send({ payload })
    const { data } = await receiver.next<{ data: unknown }>()
    t.equal(hash(data), hash({ payload }))
  }
})

t.test('C67: a pattern that backtracks is not run on what is too long for it', async (t) => {
  const { app } = await build(t)
  const node = { type: 'object', properties: { next: { $ref: '#/definitions/node' } }, additionalProperties: false }
  const schemas = {
    pattern: { type: 'object', properties: { text: { type: 'string', maxLength: 24, pattern: '^(a+)+$' } } },
    recursive: { definitions: { node }, ...node }
  }
  for (const [name, schema] of Object.entries(schemas)) {
    app.ws(`/${name}`, { schema: { message: schema } }, async (socket) => {
      for await (const message of socket.messages()) socket.sendJson({ echo: message })
    })
  }
  const pattern = await open(app, '/pattern')
  const busy = performance.eventLoopUtilization()
  pattern.send({ text: `${'a'.repeat(64_000)}b` })
  t.equal(await codeOf(pattern), 'invalid_message')
  const recursive = await open(app, '/recursive')
  recursive.sendRaw(`${'{"next":'.repeat(8_000)}{}${'}'.repeat(8_000)}`)
  t.equal(await codeOf(recursive), 'too_deep')
  // An exponential pattern on 64,000 letters would never end; a second is for machines that are busy with other things.
  t.ok(performance.eventLoopUtilization(busy).active < 1_000)
  await isFine(t, await open(app, '/json'))
})

t.test('C70: without a right, neither a subscription nor a word of what there is', async (t) => {
  const { app, logs } = await build(t)
  const present = new Set(['secret/plans'])
  app.channel('secret/:name', {
    history: { size: 10, ttl: 60_000 },
    onSubscribe: ({ user }) => {
      if (user?.sub !== 'boss') throw forbidden()
    }
  })
  const speaker = await Speaker.open(app, { token: testToken({ sub: 'eve' }) })
  const answers = []
  for (const channel of [...present, 'secret/nothing']) answers.push(await speaker.call({ subscribe: { channel } }))
  t.same(answers[0], { error: ERROR.permissionDenied })
  t.same(answers[1], answers[0], 'what exists is refused like what does not')
  for (const command of ['history', 'presence', 'presence_stats']) {
    const answer = (await speaker.call({ [command]: { channel: 'secret/plans' } })) as { error: { code: number } }
    t.ok([103, 108].includes(answer.error.code), command)
  }
  await app.realtime.publish('secret/plans', 'the plan')
  t.same(await speaker.call({ ping: {} }), { ping: {} }, 'nothing comes')
  const audit = logs.filter(({ msg }) => msg === 'channel command denied')
  t.match(audit[0], { level: 30, user: 'eve', command: 'subscribe', channel: 'secret/plans' })
  for (let i = 0; i < 50; i++) await speaker.call({ subscribe: { channel: 'secret/plans' } })
  t.ok(logs.filter(({ msg }) => msg === 'channel command denied').length < 20, 'and no log is filled with it')
  t.same(atLeast(logs, 'warn'), [])
})
