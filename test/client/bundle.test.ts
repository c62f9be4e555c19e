import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createContext, runInContext } from 'node:vm'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { WebSocket } from 'ws'
import type { connect, RealtimeClient } from '../../lib/client/index.ts'
import { buildClient } from '../../scripts/build-client.ts'
import { buildApp } from '../support/app.ts'

/* The client as the package has it: one file, built from several. */

const MAX_BYTES = 4 * 1024

t.test('it is one file without imports, at most 4 KB gzipped', async (t) => {
  const file = join(t.testdir({}), 'client.js')
  buildClient(file)
  const source = readFileSync(file, 'utf8')
  const bytes = gzipSync(source, { level: 9 }).length
  t.comment(`${source.length} bytes, ${bytes} gzipped`)
  t.ok(bytes <= MAX_BYTES, `${bytes} bytes gzipped`)
  t.notMatch(source, /\bimport\b/)
  const client = await import(file)
  t.same(Object.keys(client).sort(), ['connect', 'shouldReconnect', 'subprotocols'])
})

/** What is there beside the language itself. None of them has Node's `process`, `Buffer` or `require`. */
const common = { WebSocket, setTimeout, clearTimeout, btoa }
const { URL, crypto } = globalThis
const listeners = { addEventListener() {}, removeEventListener() {} }
const platforms: Record<string, object> = {
  Deno: { ...common, ...listeners, URL, crypto, navigator: {} },
  Bun: { ...common, ...listeners, URL, crypto, navigator: {} },
  // No events of a page, no location, no crypto; its URL is not whole.
  'React Native': { ...common, navigator: { product: 'ReactNative' } }
}

for (const [name, globals] of Object.entries(platforms)) {
  t.test(`it runs with the globals of ${name} only`, async (t) => {
    const file = join(t.testdir({}), 'client.js')
    buildClient(file, 'iife')
    const { app } = await buildApp(t, { auth: false, drain: { window: 0 } })
    app.channel('rooms/:room', { history: { size: 10, ttl: 60_000 } })
    app.ws('/live', { queued: true, respond: (data) => ({ got: data }) }, async (socket) => {
      await socket.subscribe('rooms/tea')
      for await (const message of socket.messages()) {
        await socket.publish('rooms/tea', message, { idempotencyKey: socket.messageKey })
      }
    })
    const url = `${await app.listen({ port: 0, host: '127.0.0.1' })}/live`
    const context = createContext({ ...globals })
    runInContext(readFileSync(file, 'utf8'), context)
    const open = runInContext('client.connect', context) as typeof connect
    const client: RealtimeClient = open(url)
    const publications: unknown[] = []
    const came = new Promise<void>((resolve) => {
      client.on('publication', ({ data }) => {
        if (publications.push(data) === 2) resolve()
      })
    })
    await client.send('queued')
    t.same(await client.request({ a: 1 }), { got: { a: 1 } })
    await client.send('live')
    await came
    t.same(publications, ['queued', 'live'])
    client.close()
    t.equal(client.state, 'closed')
  })
}
