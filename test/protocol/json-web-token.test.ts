import t from 'tap'
import { holdsJwt } from '../../lib/protocol/json-web-token.ts'
import { cpuTime } from '../support/cpu-time.ts'

const encoded = (text: string) => Buffer.from(text).toString('base64url')
const signed = (header: string) => `${encoded(header)}.${encoded('{"sub":"ada"}')}.c2lnbmF0dXJl`

t.test('case 181: a token is found whatever its header begins with', async (t) => {
  const headers = [
    '{"alg":"HS256"}',
    ' {"alg":"HS256"}',
    '\n{"alg":"HS256"}',
    '\r\n\t{ "alg": "HS256" }',
    '{\n "typ" :"JWT"}'
  ]
  for (const header of headers) t.equal(holdsJwt(signed(header)), true, JSON.stringify(header))
  t.equal(holdsJwt(`${encoded('{"alg":"none"}')}.e30.`), true, 'without a signature')
  t.equal(holdsJwt(`${encoded('{"a":1}')}.e30.x`), true, 'the shortest')
})

t.test('case 181: encrypted ones have five parts', async (t) => {
  const header = encoded('{"alg":"RSA-OAEP","enc":"A256GCM"}')
  t.equal(holdsJwt(`${header}.OKOawDo13gRp.48V1_ALb6US0.5eym8TW_c8Su.XFBoMYUZodet`), true)
  t.equal(holdsJwt(`${header}..48V1_ALb6US0.5eym8TW_c8Su.XFBoMYUZodet`), true, 'with a key agreed on')
})

t.test('case 181: and whatever stands before it', async (t) => {
  const token = signed('{"alg":"HS256","typ":"JWT"}')
  for (const label of ['a', 'ab', 'abc', 'auth-', 'token_', 'access_token.', 'x~', 'jwt.v1.']) {
    t.equal(holdsJwt(label + token), true, label)
  }
  t.equal(holdsJwt(`${token}.more`), true, 'or behind it')
})

t.test('names of protocols hold none', async (t) => {
  const names = [
    'realtime.v1',
    'v4.channel.k8s.io',
    'wamp.2.json.batched',
    'com.example.application.notifications.v1',
    'ocpp2.0.1',
    'eyJ.a.b',
    'eyJhbGciOiJIUzI1NiJ9',
    'eyJhbGciOiJIUzI1NiJ9.e30',
    ''
  ]
  for (const name of names) t.equal(holdsJwt(name), false, name)
})

t.test('it takes time in proportion to the length', async (t) => {
  // As long as a request may be. What follows the long run is what an expression for its end would search again and again.
  const texts = ['a'.repeat(16_000), 'aaaaaaaaaaaa.'.repeat(1_200), 'eyJ'.repeat(5_000), `${'a'.repeat(16_000)}!`]
  const taken = await cpuTime(() => {
    for (const text of texts) for (let i = 0; i < 20; i++) t.equal(holdsJwt(`${text}.a.b`), false)
  })
  t.ok(taken < 1_000, `${taken} ms of processor time`)
})
