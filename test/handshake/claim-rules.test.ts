import t from 'tap'
import { type ClaimRules, checkClaims, isExpired } from '../../lib/handshake/claim-rules.ts'

const NOW = 1_000

function faultOf(claims: unknown, rules: Partial<ClaimRules> = {}): string | undefined {
  try {
    checkClaims(claims, { required: ['sub', 'exp'], ...rules }, NOW)
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

t.test('claims at their bounds', async (t) => {
  t.equal(faultOf({ sub: 'a', exp: NOW + 1, iat: NOW + 5 }), undefined)
  t.equal(faultOf({ sub: 'a'.repeat(256), exp: 1e11 - 1 }), undefined)
  t.match(faultOf({ sub: 'a'.repeat(257), exp: NOW + 1 }), /sub/)
  t.match(faultOf({ sub: 'a', exp: NOW }), /exp/)
  t.match(faultOf({ sub: 'a', exp: 1e11 }), /exp/)
  t.match(faultOf({ sub: 'a', exp: NOW + 1, iat: NOW + 6 }), /iat/)
  t.equal(faultOf({ sub: 'a', exp: NOW + 1, iat: NOW + 60 }, { clockTolerance: 60_000 }), undefined)
  t.match(faultOf(Object.create({ sub: 'inherited', exp: NOW + 1 })), /sub is missing/)
  for (const none of [undefined, null, 'ada', 7]) t.equal(faultOf(none), 'no claims')
})

t.test('the claim channel is for subscriptions', async (t) => {
  const claims = { sub: 'a', exp: NOW + 1, channel: 'docs/1' }
  t.equal(faultOf(claims, { subscription: true }), undefined)
  t.match(faultOf(claims, { subscription: false }), /channel/)
  t.match(faultOf({ ...claims, channel: null }, { subscription: false }), /channel/, 'whatever it holds')
  t.equal(faultOf({ ...claims, channel: undefined }, { subscription: false }), undefined)
  t.equal(faultOf(claims), undefined, 'what is no token may have such a claim')
})

t.test('isExpired reads nothing into an error that it does not know', async (t) => {
  const expired = (cause: unknown) => isExpired(Object.assign(new Error('x'), { cause }))
  t.equal(isExpired(new Error('x')), false)
  t.equal(expired('a string'), false)
  t.equal(expired({ code: 'FAST_JWT_EXPIRED' }), true)
  const ours = (exp: unknown) => {
    try {
      return checkClaims({ sub: 'a', exp }, { required: [] }, NOW)
    } catch (error) {
      return error
    }
  }
  t.equal(expired(ours(NOW - 1)), true)
  t.equal(expired(ours('soon')), false)
})
