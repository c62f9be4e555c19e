import { type Test, test } from 'tap'
import dashboard, { type DashboardOptions } from '../../lib/dashboard/index.ts'
import type { PageMessage } from '../../lib/dashboard/messages.ts'
import { LineReader } from '../../lib/dashboard/page/model/lines.ts'
import { connect } from '../../lib/testing/index.ts'
import { atLeast, buildApp } from '../support/app.ts'
import { insightInto } from './insight.ts'

const KEY = 'a-key-of-many-characters'
const QUERY = { view: 'connections', order: 'age', descending: false, search: '' }
const authorization = `Bearer ${KEY}`

async function rig(t: Test, options: DashboardOptions = { key: KEY }) {
  const { app, logs } = await buildApp(t, { auth: false, drain: { window: 0 } }, { jwt: false })
  app.ws('/echo', async (socket) => {
    for await (const message of socket.messages()) socket.sendJson(message)
  })
  app.channel('rooms/:room', { history: { size: 5, ttl: 60_000 } })
  await app.register(dashboard, { ...options, prefix: '/dashboard' })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as { port: number }
  const post = (path: string, body: unknown, headers: Record<string, string> = { authorization }) =>
    fetch(`http://127.0.0.1:${port}/dashboard/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body)
    })
  return { app, logs, post }
}

/** Reads messages until one is of this kind. */
async function readUntil(response: Response, kind: PageMessage['kind']): Promise<PageMessage[]> {
  const messages: PageMessage[] = []
  const lines = new LineReader()
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    messages.push(...lines.take(Buffer.from(chunk).toString()).map((line) => JSON.parse(line)))
    if (messages.some((message) => message.kind === kind)) break
  }
  return messages
}

test('the key opens it, and nothing else does', async (t) => {
  const { post, logs } = await rig(t)
  for (const path of ['live', 'depths', 'disconnect']) {
    for (const headers of [{}, { authorization: 'Bearer wrong' }]) {
      const response = await post(path, { query: QUERY }, headers as Record<string, string>)
      t.equal(response.status, 401)
      t.match(await response.json(), { code: 'FST_RT_UNAUTHORIZED' })
    }
  }
  const response = await post('live', { query: QUERY, past: true })
  t.equal(response.status, 200)
  t.match(response.headers.get('content-security-policy'), /^default-src 'none'/)
  const messages = await readUntil(response, 'table')
  t.same(messages.map(({ kind }) => kind).slice(0, 3), ['hello', 'past', 'now'])
  t.notMatch(JSON.stringify(logs), KEY)
})

test('wrong requests are answered', async (t) => {
  const { post } = await rig(t)
  const status = async (...request: Parameters<typeof post>) => (await post(...request)).status
  t.equal(await status('live', {}), 400)
  t.equal(await status('live', 'null'), 400)
  t.equal(await status('live', '{'), 400)
  t.equal(await status('live', '{"__proto__":{}}'), 400)
  t.equal(await status('live', 'x'.repeat(70_000)), 413)
  t.equal(await status('live', '{}', { authorization, 'content-type': 'text/plain' }), 415)
  t.equal(await status('depths', { channels: 'a' }), 400)
  t.equal(await status('disconnect', {}), 400)
  t.equal(await status('live', { query: QUERY }, { authorization, origin: 'https://evil.example' }), 403)
})

test('pages are bounded', async (t) => {
  const { post } = await rig(t)
  const pages = await Promise.all(Array.from({ length: 32 }, () => post('live', { query: QUERY })))
  t.ok(pages.every(({ status }) => status === 200))
  t.equal((await post('live', { query: QUERY })).status, 503)
  await pages[0]?.body?.cancel()
  let status = 503
  while (status === 503) {
    const again = await post('live', { query: QUERY })
    status = again.status
    if (status === 503) await again.text()
  }
  t.equal(status, 200)
})

test('after five minutes the guard decides again', async (t) => {
  const { setTimeout: real } = globalThis
  t.teardown(() => {
    globalThis.setTimeout = real
  })
  const { post } = await rig(t)
  globalThis.setTimeout = ((act: () => void, delay: number) => real(act, delay === 300_000 ? 20 : delay)) as typeof real
  const response = await post('live', { query: QUERY })
  t.match((await readUntil(response, 'end')).at(-1), { kind: 'end' })
})

test('the end of the application ends the pages', async (t) => {
  const { app, post } = await rig(t)
  const response = await post('live', { query: QUERY })
  const read = readUntil(response, 'end')
  await app.close()
  const messages = await read
  t.match(messages.filter(({ kind }) => kind === 'now').at(-1), { snapshot: { last: true, draining: true } })
  t.equal(messages.at(-1)?.kind, 'end')
})

test('a connection is ended', async (t) => {
  const { app, post, logs } = await rig(t)
  const socket = await connect(app, '/echo')
  const [{ id } = { id: '' }] = app.realtime.connections()
  t.equal((await post('disconnect', { connection: id })).status, 200)
  t.same(await socket.closed(), { code: 4403, reason: 'disconnected by an administrator' })
  t.match(
    atLeast(logs, 'info').find(({ msg }) => msg === 'disconnected from the dashboard'),
    { connection: id }
  )
  t.equal((await post('disconnect', { connection: 'nobody' })).status, 200)
})

test('while Redis is away, only connections of this node are ended', async (t) => {
  const { app, post } = await rig(t)
  await connect(app, '/echo')
  const [{ id } = { id: '' }] = app.realtime.connections()
  const { broker } = insightInto(app).node
  const fail = (code: string) => {
    broker.publish = () => Promise.reject(Object.assign(new Error(code), { code, statusCode: 503 }))
  }
  fail('FST_RT_UNAVAILABLE')
  t.equal((await post('disconnect', { connection: 'elsewhere' })).status, 503)
  t.equal((await post('disconnect', { connection: id })).status, 200)
  fail('FST_RT_BROKER')
  t.match(await (await post('disconnect', { connection: 'elsewhere' })).json(), { code: 'FST_RT_BROKER' })
})

test('how far channels are', async (t) => {
  const { app, post } = await rig(t)
  await app.realtime.publish('rooms/a', 1)
  const depths = await (await post('depths', { channels: ['rooms/a', 'nothing'] })).json()
  t.match(depths, { 'rooms/a': { offset: 1, size: 1 } })
  t.notOk('nothing' in (depths as object))
})

test('its own channel is no channel of the application', async (t) => {
  const { app } = await rig(t)
  await t.rejects(app.realtime.publish('\u0000dashboard', 1), { code: 'FST_RT_INVALID_CHANNEL' })
  await t.rejects(app.realtime.history('\u0000dashboard'), { code: 'FST_RT_INVALID_CHANNEL' })
  await t.rejects(app.realtime.subscribe({ user: 'a' }, '\u0000dashboard'), { code: 'FST_RT_INVALID_CHANNEL' })
})
