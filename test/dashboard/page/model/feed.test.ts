import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Test, test } from 'tap'
import type { PageMessage } from '../../../../lib/dashboard/messages.ts'
import { Feed, type FeedOptions, type FeedStatus, RequestError } from '../../../../lib/dashboard/page/model/feed.ts'
import { snapshotOf } from '../../snapshot.ts'

const QUERY = { view: 'connections', order: 'age', descending: false, search: '' } as const

interface Arrival {
  readonly path: string
  readonly body: { past?: boolean; query?: object }
  readonly headers: IncomingMessage['headers']
  readonly response: ServerResponse
  line(message: object): void
}

/** A server whose answers the test writes, and a feed that asks it. */
async function rig(t: Test, options: Partial<FeedOptions> = {}) {
  const arrivals: Arrival[] = []
  let wake = () => {}
  const server = createServer(async (request, response) => {
    let text = ''
    for await (const part of request) text += part
    const line = (message: object) => response.write(`${JSON.stringify(message)}\n`)
    arrivals.push({ path: String(request.url), body: JSON.parse(text), headers: request.headers, response, line })
    wake()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const statuses: FeedStatus[] = []
  const messages: PageMessage[] = []
  const refusals: [boolean, string][] = []
  const feed = new Feed({
    fetch: (path, init) => fetch(`http://127.0.0.1:${port}/${path}`, init),
    key: () => undefined,
    query: () => QUERY,
    status: (status) => {
      statuses.push(status)
      wake()
    },
    message: (message) => {
      messages.push(message)
      wake()
    },
    refused: (needsKey, message) => {
      refusals.push([needsKey, message])
      wake()
    },
    now: () => 5_000,
    random: () => 0,
    ...options
  })
  t.teardown(() => {
    feed.stop()
    server.closeAllConnections()
    server.close()
  })
  const until = async (holds: () => boolean) => {
    while (!holds()) {
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
  }
  const arrival = async (): Promise<Arrival> => {
    await until(() => arrivals.length > 0)
    return arrivals.shift() as Arrival
  }
  return { feed, statuses, messages, refusals, until, arrival }
}

test('messages come with times of the page', async (t) => {
  const { feed, statuses, messages, arrival, until } = await rig(t, { key: () => 'a key' })
  void feed.start()
  const { path, body, headers, line } = await arrival()
  t.equal(path, '/live')
  t.same(body, { query: QUERY, past: true })
  t.equal(headers.authorization, 'Bearer a key')
  line({ kind: 'hello', node: 'n', now: 3_000 })
  line({ kind: 'past', node: 'n', samples: [{ at: 100 }] })
  line({ kind: 'now', snapshot: snapshotOf({ at: 3_000 }) })
  line({ kind: 'table', node: 'n', query: 'q', total: 0, found: 0, rows: [] })
  await until(() => messages.length === 4)
  t.match(messages, [
    { kind: 'hello' },
    { samples: [{ at: 2_100 }] },
    { snapshot: { at: 5_000, broker: { since: 2_000 } } },
    { query: 'q' }
  ])
  t.equal(feed.node, 'n')
  t.same(statuses, ['connecting', 'connected'])
  t.equal(feed.status, 'connected')
})

test('at the end of a response, or with another query, the page asks at once, and not for the past', async (t) => {
  const { feed, statuses, arrival, until } = await rig(t)
  void feed.start()
  ;(await arrival()).line({ kind: 'end' })
  const second = await arrival()
  t.equal(second.body.past, false)
  second.response.writeHead(200)
  second.response.flushHeaders()
  await until(() => statuses.length === 3)
  feed.restart()
  t.equal((await arrival()).body.past, false)
  t.notOk(statuses.includes('reconnecting'))
})

test('after a loss it waits, and asks for what it has missed', async (t) => {
  const { feed, statuses, arrival, until } = await rig(t)
  void feed.start()
  const first = await arrival()
  first.line({ kind: 'hello', node: 'n', now: 0 })
  await until(() => statuses.includes('connected'))
  first.response.destroy()
  await until(() => statuses.includes('reconnecting'))
  const second = await arrival()
  t.equal(second.body.past, true)
  second.response.writeHead(503).end('busy')
  const third = await arrival()
  third.response.end()
  await until(() => statuses.filter((status) => status === 'reconnecting').length === 3)
  feed.restart()
  await arrival()
})

test('a silent connection is given up', async (t) => {
  const { feed, statuses, arrival, until } = await rig(t)
  const { setTimeout: real } = globalThis
  t.teardown(() => {
    globalThis.setTimeout = real
  })
  // Ten seconds pass at once.
  globalThis.setTimeout = ((act: () => void, delay: number) => real(act, delay === 10_000 ? 20 : delay)) as typeof real
  void feed.start()
  const { response } = await arrival()
  response.writeHead(200)
  response.flushHeaders()
  await until(() => statuses.includes('reconnecting'))
  t.equal((await arrival()).body.past, true)
})

test('a refusal ends it, and says whose it was', async (t) => {
  const refuse = async (answer: (response: ServerResponse) => void) => {
    const { feed, refusals, statuses, arrival, until } = await rig(t)
    void feed.start()
    answer((await arrival()).response)
    await until(() => refusals.length > 0)
    t.equal(statuses.at(-1), 'refused')
    return refusals[0]
  }
  const json = (status: number, body: object) => (response: ServerResponse) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  t.same(await refuse(json(401, { code: 'FST_RT_UNAUTHORIZED', message: 'Unauthorized' })), [true, 'Unauthorized'])
  t.same(await refuse(json(401, { message: 'sign in' })), [false, 'sign in'])
  t.same(await refuse((response) => response.writeHead(403).end('<html>')), [false, 'Forbidden'])
})

test('a hook that leads strangers elsewhere has refused', async (t) => {
  // As browsers show it. Node's fetch shows the redirect itself.
  const opaque = { ok: false, status: 0, statusText: '', type: 'opaqueredirect' } as Response
  const { feed, refusals } = await rig(t, { fetch: async () => opaque })
  await feed.start()
  t.same(refusals, [[false, '']])
})

test('the other requests', async (t) => {
  const { feed, arrival } = await rig(t)
  const depths = feed.depths(['a'])
  const asked = await arrival()
  t.same([asked.path, asked.body], ['/depths', { channels: ['a'] }])
  asked.response.end('{"a":{"offset":1,"epoch":"e","size":1}}')
  t.same(await depths, { a: { offset: 1, epoch: 'e', size: 1 } })
  const ended = feed.disconnect('c')
  const { path, body, response } = await arrival()
  t.same([path, body], ['/disconnect', { connection: 'c' }])
  response.writeHead(503).end('{"code":"FST_RT_UNAVAILABLE","message":"away"}')
  await t.rejects(ended, new RequestError(503, 'FST_RT_UNAVAILABLE', 'away'))
  const again = feed.disconnect('c')
  ;(await arrival()).response.end('{}')
  await again
})

test('a feed that is stopped while it waits asks no more', async (t) => {
  const { feed, statuses, until, arrival } = await rig(t, { random: undefined })
  const running = feed.start()
  ;(await arrival()).response.destroy()
  await until(() => statuses.includes('reconnecting'))
  feed.stop()
  await running
  t.equal(statuses.at(-1), 'reconnecting')
})
