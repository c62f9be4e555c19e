import type { FastifyRequest } from 'fastify'
import t from 'tap'
import { findToken, forbiddenToken, missingToken } from '../../lib/handshake/credentials.ts'
import { DEFAULTS, type ResolvedAuth, type TokenSource } from '../../lib/options/options.ts'
import { parseOffer } from '../../lib/protocol/subprotocol.ts'

const COOKIES: Record<string, string> = { 'token=kim': 'kim' }
const jwt = { options: { verify: {}, decoratorName: 'user' }, cookie: { cookieName: 'token', signed: false } }
const server = { jwt, parseCookie: (header: string) => ({ token: COOKIES[header] }) }

function knock(protocols: string | undefined, headers: Record<string, string>, urlToken?: string) {
  const urlTokens = urlToken === undefined ? [] : [{ name: 'access_token', value: urlToken }]
  return {
    handshake: { offer: parseOffer(protocols), urlTokens },
    request: { headers, server } as unknown as FastifyRequest
  }
}
const auth = (sources: TokenSource[], more: Partial<ResolvedAuth> = {}): ResolvedAuth => ({
  ...(DEFAULTS.auth as ResolvedAuth),
  sources,
  ...more
})

t.test('the first source that holds a token, in one order', async (t) => {
  const { handshake, request } = knock(
    'realtime.v1, bearer.ada',
    { authorization: 'Bearer bob', cookie: 'token=kim' },
    'eve'
  )
  const sources: TokenSource[] = ['cookie', 'query', 'authorization', 'subprotocol']
  const found: unknown[] = []
  while (sources.length > 0) {
    found.push(findToken(handshake, request, auth(sources)))
    sources.pop()
  }
  t.strictSame(found, ['ada', 'bob', 'eve', 'kim'])
  t.equal(findToken(handshake, request, auth([])), undefined)
})

t.test('case 172: why there is none', async (t) => {
  const why = (
    sources: TokenSource[],
    headers: Record<string, string>,
    protocols?: string,
    more?: Partial<ResolvedAuth>
  ) => {
    const { handshake, request } = knock(protocols, headers)
    t.equal(findToken(handshake, request, auth(sources)), undefined)
    return missingToken(handshake, request, auth(sources, more)).message
  }
  const usual: TokenSource[] = ['subprotocol', 'authorization']
  t.equal(why(usual, {}), 'no token')
  t.match(why(['authorization'], {}, 'realtime.v1, bearer.ada'), /subprotocol offer: name subprotocol/)
  t.match(why(['subprotocol'], { authorization: 'Bearer ada' }), /Authorization header: name authorization/)
  t.match(why(usual, { authorization: 'Basic YQ==' }), /does not hold one/)
  t.match(why(usual, { cookie: 'token=kim' }), /name cookie in auth\.sources, or give auth\.authenticate/)
  t.match(why(['cookie'], { cookie: 'other=kim' }), /cookie of @fastify\/jwt is not there/)
  t.match(why(usual, { cookie: 'a=b' }, undefined, { authenticate: () => undefined }), /authenticate gave no claims/)
})

t.test('case 172: a token in the URL is refused beside any other', async (t) => {
  const { handshake } = knock('realtime.v1, bearer.ada', {}, 'eve')
  t.match(forbiddenToken(handshake, auth(['subprotocol']))?.message, /^token in the query: /)
  t.equal(forbiddenToken(handshake, auth(['query'])), undefined)
  t.equal(forbiddenToken(knock('realtime.v1', {}).handshake, auth([])), undefined)
})
