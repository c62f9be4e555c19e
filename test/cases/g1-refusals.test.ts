import type { FastifyRequest } from 'fastify'
import t from 'tap'
import { testSecret } from '../../lib/testing/index.ts'
import { holdsNoToken } from '../support/app.ts'
import { forge, goodClaims, hmac } from '../support/jwt.ts'
import type { RawUpgradeSpec } from '../support/raw-socket.ts'
import { goodToken, Stage } from '../support/stage.ts'

/* What the log says of a refused handshake, and that no token is in it, whatever its shape and wherever it stood. */

const MAX_LINE = 1_024
const noOffer = { 'Sec-WebSocket-Protocol': undefined }
const claims = forge({ alg: 'HS256' }, goodClaims({ sub: undefined }), hmac(testSecret))

const refusals: Record<string, [spec: RawUpgradeSpec, line: Record<string, unknown>]> = {
  'no token': [{ headers: noOffer }, { code: 'FST_RT_UNAUTHORIZED', reason: 'no token' }],
  'a token in the query': [{ path: `/ws?token=${goodToken}` }, { reason: /^token in the query: .*auth\.sources/ }],
  'a cookie only': [{ headers: { ...noOffer, Cookie: `token=${goodToken}` } }, { reason: /but a cookie: name cookie/ }],
  'another scheme': [{ headers: { ...noOffer, Authorization: `Token ${goodToken}` } }, { reason: /does not hold one/ }],
  'realtime.v1 forgotten': [
    { protocols: [`bearer.${goodToken}`] },
    { code: 'FST_RT_SUBPROTOCOL', reason: /a token alone: offer realtime\.v1 too/ }
  ],
  'bearer forgotten': [{ protocols: ['realtime.v1', goodToken] }, { reason: /offer realtime\.v1, bearer\.<token>/ }],
  'a list that is none': [{ protocols: ['a', 'a'] }, { reason: /malformed, or repeats/ }],
  'a claim that is missing': [{ protocols: ['realtime.v1', `bearer.${claims}`] }, { reason: 'claim sub is missing' }],
  'a signature that is wrong': [
    { protocols: ['realtime.v1', `bearer.${goodToken}x`] },
    { reason: /^FST_JWT_AUTHORIZATION_TOKEN_INVALID$/ }
  ],
  'another origin': [
    { headers: { Origin: 'https://evil.example' } },
    {
      code: 'FST_RT_FORBIDDEN_ORIGIN',
      reason: 'the origin is not the host',
      origin: 'https://evil.example',
      host: 'localhost'
    }
  ],
  'a development server': [
    { headers: { Origin: 'http://localhost:5173', Host: '127.0.0.1:3000' } },
    { origin: 'http://localhost:5173', host: '127.0.0.1:3000', hint: /name the development server in origins/ }
  ],
  'an origin that holds a token': [{ headers: { Origin: goodToken } }, { reason: /holds no origin/ }],
  'an origin of 10 KB': [
    { headers: { Origin: `https://${'a'.repeat(10_000)}` } },
    { reason: 'the origin is not the host' }
  ],
  'another version': [{ version: 8 }, { code: 'FST_RT_BAD_HANDSHAKE', reason: /^Sec-WebSocket-Version/ }]
}

t.test('case 172: every refusal’s line says why', async (t) => {
  const stage = await Stage.open(t)
  for (const [title, [spec, line]] of Object.entries(refusals)) {
    await t.test(title, async (t) => {
      const { response } = await stage.upgrade(spec)
      t.ok(response.statusCode >= 400 || response.statusCode === 101)
      const [refused, ...more] = stage.logs.filter(({ msg }) => msg === 'handshake refused')
      t.match(refused, { level: 30, ...line })
      t.strictSame(more, [])
      t.ok(JSON.stringify(refused).length < MAX_LINE)
      await stage.quiet()
      await stage.after(t, { token: title.startsWith('a claim') ? claims : goodToken, places: [response] })
    })
  }
})

t.test('case 172: which limit was reached', async (t) => {
  const stage = await Stage.open(t)
  const sockets = [await stage.connect('ada')]
  await t.rejects(stage.connect('bob'))
  const reasons = () => stage.logs.filter(({ msg }) => msg === 'handshake refused').map(({ reason }) => reason)
  t.strictSame(reasons(), ['limits.connections.total is reached'])
  for (const socket of sockets) await socket.close()
  await stage.after(t)
})

const encoded = (text: string) => Buffer.from(text).toString('base64url')
const SIGNATURE = 'a-signature-that-is-found-anywhere'
const shapes: Record<string, string> = {
  'a blank before the header': `${encoded(' {"alg":"HS256"}')}.${encoded('{"sub":"ada"}')}.${SIGNATURE}`,
  'a line feed before the header': `${encoded('\n{"alg":"HS256"}')}.${encoded('{"sub":"ada"}')}.${SIGNATURE}`,
  'five parts': `${encoded('{"alg":"dir","enc":"A256GCM"}')}..48V1_ALb6US04U3b.5eym8TW_c8SuK0lt.${SIGNATURE}`,
  'a label that is base64url too': `auth-${encoded('{"alg":"HS256"}')}.${encoded('{"sub":"ada"}')}.${SIGNATURE}`
}

t.test('case 181: tokens of other shapes are never selected, echoed or logged', async (t) => {
  const seen: unknown[] = []
  const note = async ({ url, headers, raw }: FastifyRequest) => void seen.push(url, headers, raw.rawHeaders)
  const stage = await Stage.open(t, {}, { before: (app) => app.addHook('onRequest', note).addHook('onResponse', note) })
  for (const [title, shape] of Object.entries(shapes)) {
    await t.test(title, async (t) => {
      const token = `x.${SIGNATURE}`
      for (const protocols of [[shape], [shape, 'realtime.v1'], ['realtime.v1', shape]]) {
        const { response } = await stage.upgrade({ protocols })
        t.equal(response.statusCode, 400)
        holdsNoToken(t, token, response, seen.splice(0), stage.logs)
        const browser = await stage.upgrade({ protocols, headers: { Origin: 'http://localhost' } })
        t.notMatch(browser.response.headers['sec-websocket-protocol'], SIGNATURE)
        browser.destroy()
        await stage.quiet()
      }
      const inUrl = await stage.upgrade({ path: `/ws?of=${shape}` })
      t.equal(inUrl.response.statusCode, 401, 'nor in the URL')
      holdsNoToken(t, token, inUrl.response, seen.splice(0), stage.logs)
      await stage.after(t, { token })
      seen.length = 0
    })
  }

  for (const [title, headers] of Object.entries({
    'without Connection: Upgrade': { Connection: 'keep-alive' },
    'without Upgrade': { Connection: 'keep-alive', Upgrade: undefined }
  })) {
    await t.test(`a handshake ${title}`, async (t) => {
      const socket = await stage.upgrade({ headers, path: `/ws?access_token=${goodToken}` })
      const { response } = socket
      t.equal(response.statusCode, 426)
      socket.destroy()
      holdsNoToken(t, goodToken, response, seen.splice(0), stage.logs)
      await stage.after(t)
      seen.length = 0
    })
  }
})
