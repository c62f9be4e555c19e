import type { IncomingMessage } from 'node:http'
import type { FastifyRequest } from 'fastify'
import t from 'tap'
import { REDACTED, takeConnect, takeOffer, takeUrlTokens } from '../../lib/handshake/redaction.ts'
import { buildApp } from '../support/app.ts'
import { rawUpgrade } from '../support/raw-socket.ts'

/* What hooks and log serializers see of a handshake: no credential, in none of the ways that Node offers for reading. */

t.test('the offer that hooks see holds no credential, and reads as if there had been none', async (t) => {
  const verify = () => ({ sub: 'ada', exp: Date.now() / 1000 + 60 })
  const seen: unknown[] = []
  const look = async ({ raw }: FastifyRequest) => {
    const raws = raw.rawHeaders.filter((_, i, all) => /^sec-websocket-protocol$/i.test(all[i - (i % 2)] as string))
    seen.push([raw.headers['sec-websocket-protocol'], raws])
  }
  const { app } = await buildApp(t, { auth: { verify } }, { before: (app) => app.addHook('onRequest', look) })
  app.ws('/ws', async () => undefined)
  const { port } = new URL(await app.listen({ host: '127.0.0.1', port: 0 }))
  const offers = [['a', 'bearer.x', 'b'], ['bearer', 'x', 'a'], ['bearer.x']]
  for (const protocols of offers) (await rawUpgrade(Number(port), { path: '/ws', protocols })).destroy()
  // In two headers, which a proxy may make of one.
  const headers = { 'Sec-WebSocket-Protocol': ['bearer.x', 'a'] }
  ;(await rawUpgrade(Number(port), { path: '/ws', headers })).destroy()
  t.same(seen, [
    ['a, b', ['Sec-WebSocket-Protocol', 'a, b']],
    ['a', ['Sec-WebSocket-Protocol', 'a']],
    [undefined, []],
    ['a', ['Sec-WebSocket-Protocol', 'a']]
  ])
})

t.test('case 132: all ways to read the headers agree, and none throws', async (t) => {
  const verify = () => ({ sub: 'ada', exp: Date.now() / 1000 + 60 })
  const seen: unknown[] = []
  const look = async ({ raw }: FastifyRequest) => {
    const { headers, headersDistinct, rawHeaders } = raw
    const names = rawHeaders.flatMap((name, i) => (i % 2 === 0 ? [name.toLowerCase()] : []))
    t.equal(rawHeaders.length % 2, 0)
    t.same([...new Set(names)].sort(), Object.keys(headers).sort())
    t.same(Object.keys(headersDistinct).sort(), Object.keys(headers).sort())
    seen.push([headers['sec-websocket-protocol'], headersDistinct['sec-websocket-protocol']])
  }
  const { app } = await buildApp(t, { auth: { verify } }, { before: (app) => app.addHook('onRequest', look) })
  app.ws('/ws', async () => undefined)
  const { port } = new URL(await app.listen({ host: '127.0.0.1', port: 0 }))
  for (const offer of [['realtime.v1, bearer.x'], ['bearer.x'], ['bearer.x', 'a', 'b'], ['a', 'bearer.x'], ['']]) {
    const headers = { 'Sec-WebSocket-Protocol': offer, 'X-After': 'x' }
    ;(await rawUpgrade(Number(port), { path: '/ws', headers })).destroy()
  }
  t.same(seen, [
    ['realtime.v1', ['realtime.v1']],
    [undefined, undefined],
    ['a, b', ['a, b']],
    ['a', ['a']],
    [undefined, undefined]
  ])
})

t.test('a header that Node did not read holds no credential either', async (t) => {
  const rawHeaders = ['Host', 'a', 'Sec-WebSocket-Protocol', 'bearer.x']
  const request = { headers: { host: 'a' }, headersDistinct: { host: ['a'] }, rawHeaders } as unknown as IncomingMessage
  t.same(takeOffer(request), { protocols: [], offered: false })
  t.same(rawHeaders, ['Host', 'a'])
})

t.test('requests of injectWS() and of HTTP/2 have less to read', async (t) => {
  const injected = { headers: { 'sec-websocket-protocol': 'a, bearer.x' } }
  t.match(takeOffer(injected as never), { protocols: ['a'], token: 'x' })
  t.same(injected.headers, { 'sec-websocket-protocol': 'a' })
  const rawHeaders = ['sec-websocket-protocol', 'bearer.x']
  const http2 = { headers: { 'sec-websocket-protocol': 'bearer.x' }, rawHeaders }
  takeOffer(http2 as never)
  t.same(http2, { headers: {}, rawHeaders: [] })
})

t.test('tokens in the URL', async (t) => {
  const jwt = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln'
  const take = (url: string) => {
    const request = { url } as IncomingMessage
    return [takeUrlTokens(request).map(({ value }) => value), request.url]
  }
  t.same(take('/ws'), [[], '/ws'])
  t.same(take('/ws?a=1&b'), [[], '/ws?a=1&b'])
  t.same(take('/ws?ACCESS_TOKEN[]=x&a=%'), [['x'], `/ws?ACCESS_TOKEN[]=${REDACTED}&a=%`])
  t.same(take(`/ws?a=1?b=${jwt}`), [[`1?b=${jwt}`], `/ws?a=${REDACTED}`])
})

t.test('the connect command in the URL', async (t) => {
  const take = (url: string) => {
    const request = { url } as IncomingMessage
    return [takeConnect(request), request.url]
  }
  t.same(take('/sse'), [[], '/sse'])
  t.same(take('/sse?a=1'), [[], '/sse?a=1'])
  t.same(take('/sse?a=%20'), [[], '/sse?a=%20'])
  t.same(take('/sse?a=1&cf_connect=%7B+%7D&b'), [['{ }'], '/sse?a=1&cf_connect=redacted&b'])
  t.same(take('/sse?cf_connect'), [[], '/sse?cf_connect=redacted'])
  t.same(take('/sse?cf%5Fconnect=a&cf_connect[]=b'), [['a', 'b'], '/sse?cf_connect=redacted&cf_connect=redacted'])
  t.same(take('/sse;cf_connect=a'), [['a'], '/sse;cf_connect=redacted'])
  t.same(take('/sse#cf_connect=a'), [['a'], '/sse#cf_connect=redacted'])
  const path = '/sse?cf_connect=a'
  const http2 = { httpVersionMajor: 2, url: path, headers: { ':path': path }, rawHeaders: [':path', path] }
  takeConnect(http2 as never)
  const redacted = '/sse?cf_connect=redacted'
  t.match(http2, { url: redacted, headers: { ':path': redacted }, rawHeaders: [':path', redacted] })
})
