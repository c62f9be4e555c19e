import t, { type Test } from 'tap'
import { testSecret } from '../../lib/testing/index.ts'
import { atLeast } from '../support/app.ts'
import { cpuTime } from '../support/cpu-time.ts'
import { forge, goodClaims, hmac, rs256, rsa, unsigned } from '../support/jwt.ts'
import { goodToken, Stage } from '../support/stage.ts'

/* Tokens that are missing, misplaced, forged or worn out. The numbers are those of the list of cases. */

const header = { alg: 'HS256', typ: 'JWT' }
const sign = hmac(testSecret)
const now = Math.floor(Date.now() / 1000)
const UNAUTHORIZED = {
  statusCode: 401,
  code: 'FST_RT_UNAUTHORIZED',
  error: 'Unauthorized',
  message: 'Unauthorized'
}

/** The token is refused with a 401 that is always the same, and to a browser with 4401. */
async function refused(t: Test, stage: Stage, token: string): Promise<void> {
  const { response } = await stage.upgrade({ protocols: ['realtime.v1', `bearer.${token}`] })
  t.equal(response.statusCode, 401)
  t.same(JSON.parse(response.body), UNAUTHORIZED)
  t.match(response.headers, { 'www-authenticate': 'Bearer', connection: 'close' })
  await stage.quiet()
  const origin = `http://localhost`
  const browser = await stage.upgrade({ protocols: ['realtime.v1', `bearer.${token}`], headers: { Origin: origin } })
  t.equal(browser.response.statusCode, 101)
  t.equal(browser.response.headers['sec-websocket-protocol'], 'realtime.v1')
  const closed = await browser.closeFrame()
  t.same(closed, { code: 4401, reason: 'unauthorized' })
  browser.destroy()
  t.same(atLeast(stage.logs, 'warn'), [])
  t.match(
    stage.logs.filter(({ msg }) => msg === 'handshake refused'),
    [{ level: 30, code: 'FST_RT_UNAUTHORIZED' }, { level: 30 }]
  )
  // A forged one may be too short to be told from other text.
  const sought = /[\w-]{20}$/.test(token) ? token : goodToken
  await stage.after(t, { token: sought, places: [response, browser.response, closed] })
}

t.test('where the token stands', async (t) => {
  const stage = await Stage.open(t)

  t.test('B36, B58: none, only a cookie, or another scheme: a 401 without hints', async (t) => {
    const headers = [{}, { Cookie: `token=${goodToken}` }, { Authorization: 'Basic YWRhOmFkYQ==' }]
    for (const more of [...headers, { Authorization: 'Bearer' }, { Authorization: `Bearer a ${goodToken}` }]) {
      const { response } = await stage.upgrade({
        protocols: [],
        headers: { 'Sec-WebSocket-Protocol': undefined, ...more }
      })
      t.equal(response.statusCode, 401)
      t.same(JSON.parse(response.body), UNAUTHORIZED)
      t.same(atLeast(stage.logs, 'warn'), [])
      await stage.after(t, { places: [response] })
    }
  })

  t.test('B58: a browser whose only credential is a cookie hears 4401', async (t) => {
    const socket = await stage.upgrade({
      headers: { 'Sec-WebSocket-Protocol': undefined, Cookie: `token=${goodToken}`, Origin: 'http://localhost' }
    })
    t.equal(socket.response.statusCode, 101)
    t.equal((await socket.closeFrame()).code, 4401)
    socket.destroy()
    await stage.after(t, { places: [socket.response] })
  })

  t.test('B37: the token may come first: never selected, never echoed', async (t) => {
    const kubernetes = `base64url.bearer.authorization.k8s.io.${Buffer.from(goodToken).toString('base64url')}`
    for (const offer of [[`bearer.${goodToken}`], ['bearer', goodToken], ['Bearer', goodToken], [kubernetes]]) {
      const socket = await stage.upgrade({ protocols: [...offer, 'realtime.v1', 'other.v2'] })
      t.equal(socket.response.statusCode, 101)
      t.equal(socket.response.headers['sec-websocket-protocol'], 'realtime.v1')
      socket.destroy()
      await stage.after(t, { places: [socket.response] })
    }
  })

  t.test('the Authorization header is the other place', async (t) => {
    for (const scheme of ['Bearer', 'bearer', 'BEARER  '.trim()]) {
      const socket = await stage.upgrade({
        headers: { 'Sec-WebSocket-Protocol': undefined, Authorization: `${scheme} ${goodToken}` }
      })
      t.equal(socket.response.statusCode, 101)
      t.notOk(socket.response.headers['sec-websocket-protocol'])
      socket.destroy()
      await stage.after(t, { places: [socket.response] })
    }
  })

  const offers: Record<string, string[]> = {
    'B38: a token and no protocol to select': [`bearer.${goodToken}`],
    'B39: two tokens': [`bearer.${goodToken}`, `bearer.${goodToken}x`],
    'B39: two tokens and a protocol': ['realtime.v1', `bearer.${goodToken}`, 'bearer', goodToken],
    'a bearer without its token': ['realtime.v1', 'bearer'],
    'a token that nothing introduces': ['realtime.v1', goodToken],
    'an encoded token that is no base64url': ['realtime.v1', 'base64url.bearer.name.%%%']
  }
  for (const [name, protocols] of Object.entries(offers)) {
    t.test(`${name}: a 400`, async (t) => {
      const { response } = await stage.upgrade({ protocols })
      t.equal(response.statusCode, 400)
      t.match(JSON.parse(response.body), { code: 'FST_RT_SUBPROTOCOL' })
      await stage.after(t, { places: [response] })
    })
  }

  t.test('B39: a browser hears 4406 where a protocol can be selected, and a 400 where none can', async (t) => {
    const headers = { Origin: 'http://localhost' }
    const two = await stage.upgrade({ protocols: ['realtime.v1', 'bearer.a', 'bearer.b'], headers })
    t.equal(two.response.headers['sec-websocket-protocol'], 'realtime.v1')
    t.same(await two.closeFrame(), { code: 4406, reason: 'subprotocol not acceptable' })
    two.destroy()
    await stage.quiet()
    const only = await stage.upgrade({ protocols: [`bearer.${goodToken}`], headers })
    t.equal(only.response.statusCode, 400)
    await stage.after(t, { places: [two.response, only.response] })
  })

  t.test('B40: a token in the URL is a 401, whatever it is called, and redacted in the log', async (t) => {
    const names = ['access_token', 'ACCESS_TOKEN', 'access%5Ftoken', 'token', 'a', '']
    for (const name of names) {
      const { response } = await stage.upgrade({ path: `/ws?x=1&${name}=${goodToken}&y` })
      t.equal(response.statusCode, 401)
      const [line] = stage.logs.filter(({ msg }) => msg === 'incoming request')
      t.match(line, { req: { url: `/ws?x=1&${name}=redacted&y` } })
      await stage.after(t, { places: [response] })
    }
    for (const [query, logged] of [
      [goodToken, '=redacted'],
      ['access_token[]=opaque', 'access_token[]=redacted']
    ] as const) {
      const { response } = await stage.upgrade({ path: `/ws?${query}` })
      t.equal(response.statusCode, 401, query)
      const [line] = stage.logs.filter(({ msg }) => msg === 'incoming request')
      t.match(line, { req: { url: `/ws?${logged}` } })
      await stage.after(t, { places: [response] })
    }
    const opaque = await stage.upgrade({ path: '/ws?access_token=opaque' })
    t.equal(opaque.response.statusCode, 401)
    const other = await stage.upgrade({ path: '/ws?a=%zz&b=c?d=e' })
    t.equal(other.response.statusCode, 101)
    other.destroy()
    await stage.after(t)
  })

  t.test('B40: a URL made to be searched slowly is searched fast', async (t) => {
    for (const query of ['?'.repeat(15_000), 'a?&'.repeat(5_000), '=eyJ-.'.repeat(2_500), 'eyJ-'.repeat(3_700)]) {
      const taken = await cpuTime(async () => {
        const socket = await stage.upgrade({ path: `/ws?${query}` })
        t.equal(socket.response.statusCode, 101)
        socket.destroy()
      })
      t.ok(taken < 250, `${taken} ms`)
      await stage.quiet()
    }
    await stage.after(t)
  })
})

t.test('B40: with sources: query a token in the URL is taken, and redacted all the same', async (t) => {
  const stage = await Stage.open(t, { auth: { sources: ['query', 'authorization'] } }, {}, undefined, {
    headers: true
  })
  const path = `/ws?access_token=${goodToken}`
  const socket = await stage.upgrade({ path, headers: { 'Sec-WebSocket-Protocol': undefined } })
  t.equal(socket.response.statusCode, 101)
  const urls = stage.logs.filter(({ msg }) => msg === 'incoming request').map(({ req }) => (req as { url: string }).url)
  t.same(urls, ['/ws', '/ws?access_token=redacted'])
  socket.destroy()
  await stage.after(t)
  const { response } = await stage.upgrade()
  t.equal(response.statusCode, 401, 'a source that is not named is not looked at')
  await stage.after(t, { places: [response] })
})

t.test('signatures', async (t) => {
  const secret = await Stage.open(t)
  const good = forge(header, goodClaims(), sign)
  const [head = '', body = '', signature = ''] = good.split('.')
  const forged: Record<string, string> = {
    'B41: alg none': forge({ alg: 'none' }, goodClaims(), unsigned),
    'B41: alg None': forge({ alg: 'None' }, goodClaims(), unsigned),
    'B41: alg nOnE with a signature': forge({ alg: 'nOnE' }, goodClaims(), sign),
    'B43: an HS512 header over HS256': forge({ alg: 'HS512' }, goodClaims(), sign),
    'B44: an unknown crit': forge({ ...header, crit: ['x'], x: 1 }, goodClaims(), sign),
    'B44: two parts': `${head}.${body}`,
    'B44: four parts': `${good}.x`,
    'B44: no signature': `${head}.${body}.`,
    'B44: no header': `.${body}.${signature}`,
    'B44: base64url against its alphabet': `${head}.!!!!.${signature}`,
    'B44: a body that is no JSON': forge(header, 'not json', sign),
    'B44: a body that is no object': forge(header, '"ada"', sign),
    'B44: another secret': forge(header, goodClaims(), hmac('not the secret')),
    'B44: one character': 'x',
    'B54: a kid that is a path': forge({ ...header, kid: '../../dev/null' }, goodClaims(), hmac('')),
    'B54: a jku elsewhere': forge({ ...header, jku: 'http://127.0.0.1:1/keys' }, goodClaims(), hmac('evil'))
  }
  for (const [name, token] of Object.entries(forged)) {
    t.test(`${name}: a 401 that says nothing`, async (t) => refused(t, secret, token))
  }
})

t.test('RS256', async (t) => {
  const jwt = { secret: { public: rsa.publicKey, private: rsa.privateKey }, sign: { algorithm: 'RS256' as const } }
  const good = (sub: string) => forge({ alg: 'RS256' }, goodClaims({ sub }), rs256)
  const stage = await Stage.open(t, {}, { jwt }, undefined, { token: good })
  for (const key of [rsa.publicKey, ` ${rsa.publicKey}`, `text\n${rsa.publicKey}`, rsa.publicKey.trim()]) {
    t.test('B42: the public key as the secret of an HS256 token: a 401', async (t) => {
      await refused(t, stage, forge(header, goodClaims(), hmac(key)))
    })
  }
})

t.test('claims', async (t) => {
  const stage = await Stage.open(t)
  const bad: Record<string, object | string> = {
    'B46: no exp': goodClaims({ exp: undefined }),
    'B46: exp as a string': goodClaims({ exp: String(now + 60) }),
    'B46: exp null': goodClaims({ exp: null }),
    'B46: exp 1e300': goodClaims({ exp: 1e300 }),
    'B46: exp 1e999': JSON.stringify(goodClaims()).replace(/"exp":\d+/, '"exp":1e999'),
    'B46: exp NaN': JSON.stringify(goodClaims()).replace(/"exp":\d+/, '"exp":NaN'),
    'B46: exp in milliseconds': goodClaims({ exp: Date.now() + 60_000 }),
    'B46: exp in the past': goodClaims({ exp: now - 1 }),
    'B50: nbf to come': goodClaims({ nbf: now + 600 }),
    'B50: iat to come': goodClaims({ iat: now + 600 }),
    'B50: iat as a string': goodClaims({ iat: 'now' }),
    'B53: no sub': goodClaims({ sub: undefined }),
    'B53: sub as an object': goodClaims({ sub: { id: 'ada' } }),
    'B53: sub as a number': goodClaims({ sub: 1 }),
    'B53: an empty sub': goodClaims({ sub: '' }),
    'B53: a sub of 6 KB': goodClaims({ sub: 'a'.repeat(6_000) })
  }
  for (const [name, claims] of Object.entries(bad)) {
    t.test(`${name}: a 401 that says nothing`, async (t) => refused(t, stage, forge(header, claims, sign)))
  }

  t.test('B50: a clock a moment behind is no reason', async (t) => {
    const socket = await stage.upgrade({
      protocols: ['realtime.v1', `bearer.${forge(header, goodClaims({ iat: now + 3 }), sign)}`]
    })
    t.equal(socket.response.statusCode, 101)
    socket.destroy()
    await stage.after(t)
  })

  t.test('B53: strange users are just users, each with slots of its own', async (t) => {
    const users = ['__proto__', 'constructor', 'a:b', 'a', '*', '{}', 'a\nb', 'a:b:c', 'ä'.repeat(256)]
    for (const sub of users) {
      const socket = await stage.connect(sub)
      const [mine] = stage.app.realtime.connections().filter(({ user }) => user === sub)
      t.ok(mine)
      await stage.app.realtime.disconnect({ user: sub })
      t.match(await socket.closed(), { code: 4403 })
      await stage.quiet()
    }
    t.equal(({} as { polluted?: unknown }).polluted, undefined)
    await stage.after(t)
  })
})

t.test('what @fastify/jwt was told to demand', async (t) => {
  const verify = { allowedIss: 'https://id.example', allowedAud: 'realtime', clockTolerance: 60_000 }
  const asked = { iss: 'https://id.example', aud: 'realtime' }
  const token = (sub: string) => forge(header, goodClaims({ sub, ...asked }), sign)
  const stage = await Stage.open(t, {}, { jwt: { secret: testSecret, verify } }, undefined, { token })
  const bad: Record<string, object> = {
    'B52: no iss': goodClaims({ aud: 'realtime' }),
    'B52: no aud': goodClaims({ iss: 'https://id.example' }),
    'B52: another iss': goodClaims({ ...asked, iss: 'https://evil.example' }),
    'B52: another aud': goodClaims({ ...asked, aud: ['other'] }),
    'B46: an exp that only the tolerance lets pass would close at once': goodClaims({ ...asked, exp: now - 10 })
  }
  for (const [name, claims] of Object.entries(bad)) {
    t.test(`${name}: a 401`, async (t) => refused(t, stage, forge(header, claims, sign)))
  }

  t.test('B50: nbf and iat within the tolerance pass', async (t) => {
    const early = forge(header, goodClaims({ ...asked, nbf: now + 30, iat: now + 30 }), sign)
    const socket = await stage.upgrade({ protocols: ['realtime.v1', `bearer.${early}`] })
    t.equal(socket.response.statusCode, 101)
    socket.destroy()
    await stage.after(t, { token: early })
  })
})
