import { EventEmitter } from 'node:events'
import { inspect } from 'node:util'
import t from 'tap'
import { Handshake, handshakeOf } from '../../lib/handshake/handshake.ts'
import { parseOffer } from '../../lib/protocol/subprotocol.ts'
import { testToken } from '../../lib/testing/index.ts'
import { buildApp } from '../support/app.ts'
import { connect } from '../support/connect.ts'

const token = testToken({ sub: 'ada' })

function make(head = Buffer.alloc(0)) {
  const request = {} as never
  const stream = new EventEmitter() as never
  const handshake = new Handshake({
    id: 'c1',
    stream,
    head,
    begunAt: 0,
    mark: { count: 0, at: 0 },
    offer: parseOffer(`realtime.v1, bearer.${token}`),
    urlTokens: [{ name: 'access_token', value: token }]
  })
  return { handshake, request, stream }
}

t.test('it is found by its request, and by its stream until it is complete', async (t) => {
  const { handshake, request, stream } = make()
  t.strictSame([handshakeOf(request), handshakeOf(stream)], [undefined, undefined])
  handshake.attachTo(request)
  t.strictSame([handshakeOf(request), handshakeOf(stream)], [handshake, handshake])
  handshake.complete()
  t.strictSame([handshakeOf(request), handshakeOf(stream)], [handshake, undefined])
})

t.test('once complete it keeps neither the token nor the bytes that came', async (t) => {
  const head = Buffer.from('frames')
  const { handshake } = make(head)
  t.equal(handshake.head, head)
  t.match(handshake, { offer: { protocols: ['realtime.v1'], token }, urlTokens: [{ value: token }] })
  handshake.complete()
  t.equal(handshake.head.length, 0)
  t.match(handshake, { offer: { protocols: [], token: undefined }, urlTokens: [] })
})

t.test('an empty view of what was read with the request is not kept', async (t) => {
  const read = Buffer.alloc(4_096)
  const { head } = make(read.subarray(4_096)).handshake
  t.equal(head.length, 0)
  t.not(head.buffer, read.buffer)
})

t.test('a request that a hook inspects shows no token', async (t) => {
  const shown: string[] = []
  const { app } = await buildApp(t)
  const look = async (request: { raw: unknown }) => {
    shown.push(inspect(request.raw, { depth: 20, showHidden: true, maxStringLength: null, maxArrayLength: null }))
  }
  app.addHook('onRequest', look)
  app.ws('/ws', { preHandler: look }, async () => undefined)
  await connect(app, '/ws', { token })
  t.equal(shown.length, 2)
  t.match(shown[0], 'sec-websocket-protocol')
  for (const text of shown) t.notMatch(text, token)
})
