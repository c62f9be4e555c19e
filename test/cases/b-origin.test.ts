import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { testSecret } from '../../lib/testing/index.ts'
import { atLeast } from '../support/app.ts'
import { rawUpgrade } from '../support/raw-socket.ts'
import { goodToken, Stage } from '../support/stage.ts'

/* Where a handshake comes from, and how often. The numbers are those of the list of cases. */

t.test('B57: an allow-list', async (t) => {
  const origins = ['https://good.com', 'https://good.com:8443', 'https://xn--mnchen-3ya.de', /^capacitor:\/\/app$/]
  const stage = await Stage.open(t, { origins: [...origins, async (origin) => origin === 'https://asked.example'] })
  const verdicts: Record<string, boolean> = {
    'https://good.com': true,
    'https://good.com:443': true,
    'HTTPS://GOOD.com': true,
    'https://good.com:8443': true,
    'https://xn--mnchen-3ya.de': true,
    'capacitor://app': true,
    'https://asked.example': true,
    'https://good.com.evil.com': false,
    'https://evil.com/https://good.com': false,
    'https://good.com@evil.com': false,
    'https://evilgood.com': false,
    'http://good.com': false,
    'https://good.com:444': false,
    'https://good.com/': false,
    'https://good.com?': false,
    'https://münchen.de': false,
    'capacitor://app/': false,
    'file://': false,
    'https://': false,
    null: false,
    '': false,
    'good.com': false
  }
  for (const [origin, allowed] of Object.entries(verdicts)) {
    await t.test(`${origin || 'an empty origin'} is ${allowed ? 'let in' : 'a 403'}`, async (t) => {
      // Header values are bytes: Node's client would refuse what a raw one sends.
      const socket = await stage.upgrade({ headers: { Origin: origin } })
      t.equal(socket.response.statusCode, allowed ? 101 : 403)
      if (!allowed) t.match(JSON.parse(socket.response.body), { code: 'FST_RT_FORBIDDEN_ORIGIN' })
      socket.destroy()
      t.same(atLeast(stage.logs, 'warn'), [])
      await stage.after(t, { places: [socket.response] })
    })
  }
})

t.test('B57: without a list the page must come from the host that it connects to', async (t) => {
  const stage = await Stage.open(t)
  const verdicts: [host: string, origin: string, allowed: boolean][] = [
    ['app.example', 'https://app.example', true],
    ['app.example:443', 'https://app.example', true],
    ['app.example:80', 'http://app.example', true],
    ['APP.example:3000', 'http://app.example:3000', true],
    ['[::1]:3000', 'http://[::1]:3000', true],
    ['app.example:80', 'https://app.example', false],
    ['app.example', 'https://app.example:8443', false],
    ['app.example', 'https://app.example.evil.com', false],
    ['app.example', 'app://app.example', false],
    ['app.example', 'null', false]
  ]
  for (const [Host, Origin, allowed] of verdicts) {
    await t.test(`${Origin} at ${Host} is ${allowed ? 'let in' : 'a 403'}`, async (t) => {
      const socket = await stage.upgrade({ headers: { Host, Origin } })
      t.equal(socket.response.statusCode, allowed ? 101 : 403)
      socket.destroy()
      await stage.after(t, { places: [socket.response] })
    })
  }
})

t.test("B57: '*' lets everybody in, and a route may have a list of its own", async (t) => {
  const stage = await Stage.open(t, { origins: '*' }, {}, (app) => {
    app.ws('/own', { config: { realtime: { origins: 'https://own.example' } } }, async () => undefined)
  })
  for (const origin of ['https://any.example', 'null', 'tauri://localhost']) {
    const socket = await stage.upgrade({ headers: { Origin: origin } })
    t.equal(socket.response.statusCode, 101)
    socket.destroy()
    await stage.quiet()
  }
  const { response } = await stage.upgrade({ path: '/own', headers: { Origin: 'https://any.example' } })
  t.equal(response.statusCode, 403)
  await stage.after(t)
})

const hours = { max: 3, timeWindow: 3_600_000 }
const limited = { config: { rateLimit: hours } }

/** Handshakes of which the last is one too many, and whether a token was looked at for it. */
for (const when of ['before', 'after']) {
  for (const reach of ['globally', 'per route']) {
    t.test(`B59: @fastify/rate-limit registered ${when} us, ${reach}: 429 before the token is verified`, async (t) => {
      const verified: string[] = []
      const order: string[] = []
      const limiter = (app: FastifyInstance) =>
        app.register(rateLimit, { global: reach === 'globally', ...hours, keyGenerator: ({ ip }) => ip })
      const verify = (token: string) => {
        verified.push(token)
        return JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString())
      }
      const stage = await Stage.open(
        t,
        { auth: { verify } },
        when === 'before' ? { before: limiter } : {},
        async (app) => {
          if (when === 'after') await limiter(app)
          const onRequest = [async () => void order.push('a'), async () => void order.push('b')]
          app.ws('/limited', { onRequest, ...limited }, async () => undefined)
          app.route({
            method: 'GET',
            url: '/both',
            ...limited,
            handler: () => 'plain',
            wsHandler: () => undefined
          })
        }
      )
      verified.length = 0
      for (let i = 0; i < 3; i++) {
        const socket = await stage.upgrade({ path: '/limited' })
        t.equal(socket.response.statusCode, 101)
        socket.destroy()
        await stage.quiet()
      }
      t.equal(verified.length, 3)
      t.same(order, ['a', 'b', 'a', 'b', 'a', 'b'], "the route's own hooks run, in order")
      for (const headers of [{}, { Origin: 'http://localhost' }, { 'X-Forwarded-For': '10.0.0.1' }]) {
        const { response } = await stage.upgrade({ path: '/limited', headers })
        t.equal(response.statusCode, 429, JSON.stringify(headers))
        t.match(response.headers, { 'retry-after': /^\d+$/ })
        await stage.quiet()
      }
      t.equal(verified.length, 3, 'no token was verified')
      t.equal(order.length, 6, 'and no hook ran')
      t.match(await stage.registry.metrics(), /realtime_handshakes_refused_total\{reason="rate_limited"\} 3/)

      const codes = []
      for (let i = 0; i < 4; i++) codes.push((await stage.app.inject('/both')).statusCode)
      t.same(codes, [200, 200, 200, 429], 'plain requests to a WebSocket route are limited too')
      if (reach === 'per route') await stage.after(t)
    })
  }
}

t.test('B59: what the limiter is told to throw, it throws', async (t) => {
  const errors: unknown[] = [
    { code: 429, message: 'numeric code', statusCode: 429 },
    Object.assign(new Error('no code'), { statusCode: 429 })
  ]
  const stage = await Stage.open(t, {}, { before: (app) => app.register(rateLimit, { global: false }) }, (app) => {
    const errorResponseBuilder = () => errors.shift() as object
    app.ws('/none', { config: { rateLimit: { ...hours, max: 0, errorResponseBuilder } } }, async () => undefined)
  })
  for (let left = errors.length; left > 0; left--) {
    const { response } = await stage.upgrade({ path: '/none' })
    t.equal(response.statusCode, 429)
    await stage.after(t, { places: [response] })
  }
  for (const error of ['a string', undefined]) {
    errors.push(error)
    const { response } = await stage.upgrade({ path: '/none' })
    t.equal(response.statusCode, 500)
    await stage.quiet()
  }
})

t.test('B59: addresses behind a proxy', async (t) => {
  for (const trustProxy of [false, true]) {
    await t.test(
      trustProxy ? 'trustProxy: each has its own slots' : 'no trustProxy: a forged header is nothing',
      async (t) => {
        const { buildApp } = await import('../support/app.ts')
        const limits = { connections: { perAddress: 1 } }
        const { app } = await buildApp(t, { limits }, { fastify: { trustProxy }, jwt: { secret: testSecret } })
        app.ws('/ws', {}, async (socket) => {
          for await (const _ of socket.messages());
        })
        const port = Number(new URL(await app.listen({ host: '127.0.0.1', port: 0 })).port)
        const from = async (address: string) => {
          const spec = { path: '/ws', protocols: ['realtime.v1', `bearer.${goodToken}`] }
          return (await rawUpgrade(port, { ...spec, headers: { 'X-Forwarded-For': address } })).response
        }
        t.equal((await from('10.0.0.1')).statusCode, 101)
        const again = await from('10.0.0.1')
        t.equal(again.statusCode, 503)
        t.match(again.headers, { 'retry-after': /^\d+$/ })
        t.match(JSON.parse(again.body), { code: 'FST_RT_CAPACITY' })
        t.equal((await from('10.0.0.2')).statusCode, trustProxy ? 101 : 503)
      }
    )
  }
})

t.test('B60: a flood of bad tokens is logged at info, a line or two each, and refused in order', async (t) => {
  const stage = await Stage.open(t)
  for (let i = 0; i < 50; i++) {
    const { response } = await stage.upgrade({ protocols: ['realtime.v1', 'bearer.bad'] })
    t.equal(response.statusCode, 401)
    await stage.quiet()
  }
  t.ok(stage.logs.filter(({ level }) => level >= 30).length <= 3 * 51 + 2)
  t.same(atLeast(stage.logs, 'warn'), [])
  await stage.after(t)
})
