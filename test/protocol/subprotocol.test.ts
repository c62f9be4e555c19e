import t from 'tap'
import { parseOffer, REALTIME_PROTOCOL, subprotocols } from '../../lib/protocol/subprotocol.ts'

const jwt = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln-_8'
const base64url = Buffer.from(jwt).toString('base64url')

t.test('nothing offered, or protocols alone', async (t) => {
  t.same(parseOffer(undefined), { protocols: [], offered: false })
  t.same(parseOffer('graphql-ws'), { protocols: ['graphql-ws'], offered: true })
  t.same(parseOffer(' a ,b,\tc'), { protocols: ['a', 'b', 'c'], offered: true })
})

t.test('the credential is taken out, wherever it stands and however it is written', async (t) => {
  const offers = [
    `realtime.v1, bearer.${jwt}`,
    `bearer.${jwt}, realtime.v1`,
    `Bearer.${jwt},realtime.v1`,
    `bearer, ${jwt}, realtime.v1`,
    `realtime.v1, BEARER, ${jwt}`,
    `base64url.bearer.authorization.k8s.io.${base64url}, realtime.v1`,
    `realtime.v1, Base64URL.Bearer.name.${base64url}`
  ]
  for (const offer of offers) {
    t.same(parseOffer(offer), { protocols: ['realtime.v1'], offered: true, token: jwt }, offer.slice(0, 40))
  }
  t.same(parseOffer(subprotocols(jwt).join(', ')), { protocols: [REALTIME_PROTOCOL], offered: true, token: jwt })
  t.same(parseOffer(`bearer.${jwt}`), { protocols: [], offered: true, token: jwt }, 'alone')
  t.equal(parseOffer('bearer.opaque-token').token, 'opaque-token', 'it need not be a JWT')
  const labelled = parseOffer('realtime.v1, access_token.eyJhbGciOiJIUzI1NiJ9.e30.c2ln')
  t.match(labelled, { protocols: ['realtime.v1'], fault: 'credential' }, 'a label of its own makes it no protocol')
})

t.test('the usual spelling is read as any other', async (t) => {
  const tokens = [
    jwt,
    'x',
    '',
    ' x',
    'x ',
    'x,y',
    `${jwt}, a`,
    'realtime.v1',
    `${jwt}, realtime.v1`,
    'ä',
    'a=b',
    'x, bearer.y'
  ]
  for (const token of tokens)
    t.same(parseOffer(`realtime.v1, bearer.${token}`), parseOffer(`realtime.v1,bearer.${token}`))
})

t.test('no credential or several where one is meant', async (t) => {
  const offers = [
    `bearer.${jwt}, bearer.other, a`,
    `bearer, ${jwt}, bearer.${jwt}, a`,
    'a, bearer',
    'a, bearer.',
    'a, base64url.bearer.name.',
    'a, base64url.bearer.name.!!!!',
    `a, ${jwt}`
  ]
  for (const offer of offers) {
    t.same(parseOffer(offer), { protocols: ['a'], offered: true, fault: 'credential' }, offer.slice(0, 40))
  }
})

t.test('a malformed offer yields nothing that could be echoed', async (t) => {
  const offers = ['', ',', 'a,', 'a, a', 'a b', 'a, "b"', 'ä', 'a\u0000', 'a;b', `a, bearer.${jwt}=`, 'a/b']
  for (const offer of offers) t.same(parseOffer(offer), { protocols: [], offered: true, fault: 'malformed' }, offer)
})

t.test('a long offer takes time in proportion to its length', async (t) => {
  t.equal(parseOffer(`a, eyJ${'a-_.'.repeat(4_000)}!`).fault, undefined)
  t.equal(parseOffer(`bearer.${'a.'.repeat(8_000)}`).token?.length, 16_000)
})
