import t from 'tap'
import { Rates } from '../../lib/connection/rates.ts'
import { DEFAULTS } from '../../lib/options/options.ts'

const ada = { sub: 'ada' }
const make = (limits: object, userRate: (user: string) => number = () => 0, maxDebt = 60_000) =>
  new Rates({ ...DEFAULTS.limits, ...limits }, userRate, 0, maxDebt)

t.test('a message costs one of the connection’s tokens, then one of its user’s', async (t) => {
  const asked: string[] = []
  const rates = make({ messages: { rate: 1, burst: 2 }, userMessages: { rate: 1, burst: 1 } }, (user) => {
    asked.push(user)
    return asked.length < 2 ? 0 : 700
  })
  t.same([rates.take(ada, 1, 0), rates.take(ada, 1, 0), rates.take(ada, 1, 0)], [0, 700, 1_000])
  t.same(asked, ['ada', 'ada'], 'the user is not asked for what the connection may not send')
})

t.test('the rate of users is for those who are known, and where there is one', async (t) => {
  const fail = () => t.fail('nobody is asked')
  t.equal(make({ userMessages: { rate: 1, burst: 1 } }, fail as never).take(null, 1, 0), 0)
  t.equal(make({ userMessages: false }, fail as never).take(ada, 1, 0), 0)
  const unnamed = { id: 7 } as never
  t.equal(make({ userMessages: { rate: 1, burst: 1 } }, fail as never).take(unnamed, 1, 0), 0)
})

t.test('reserve accepts a message in any case, and returns the time until the debt is paid', async (t) => {
  const rates = make({ messages: { rate: 1, burst: 1 } })
  t.same([rates.reserve(null, 1, 0), rates.reserve(null, 1, 0), rates.reserve(null, 1, 0)], [0, 1_000, 2_000])
  t.equal(make({ messages: false, bytes: false }).reserve(null, 1, 0), 0)
  const bytes = make({ messages: false, bytes: { rate: 100, burst: 100 } })
  t.same([bytes.reserve(null, 100, 0), bytes.reserve(null, 100, 0)], [0, 1_000])
})

t.test('no debt is longer than the longest that is judged', async (t) => {
  const rates = make({ messages: { rate: 5, burst: 5 }, bytes: { rate: 5, burst: 5 } }, () => 0, 25_000)
  for (let n = 0; n < 10_000; n++) rates.reserve(null, 1_000, 0)
  t.equal(rates.reserve(null, 1_000, 0), 25_000)
  t.equal(rates.debt(24_000), 1_000)
})

t.test('bytes are taken on credit, and nothing more until they are paid for', async (t) => {
  const rates = make({ messages: false, bytes: { rate: 1_000, burst: 100 } })
  t.equal(rates.take(null, 1_100, 0), 0, 'however large it is')
  t.same([rates.take(null, 1, 0), rates.take(null, 0, 0)], [1_000, 1_000], 'a refusal costs nothing')
  t.equal(rates.debt(400), 600)
  t.equal(rates.take(null, 1, 1_000), 0)
  const paid = make({ messages: false, bytes: { rate: 1_000, burst: 100 } })
  paid.spend(600, 0)
  t.equal(paid.take(null, 1, 0), 500, 'so does what was asked for')
})

t.test('what is refused for its bytes takes no message, and the other way round', async (t) => {
  const rates = make({ messages: { rate: 1, burst: 1 }, bytes: { rate: 1_000, burst: 100 } })
  rates.spend(200, 0)
  t.equal(rates.take(null, 50, 0), 100)
  t.equal(rates.take(null, 50, 200), 0)
  t.equal(rates.take(null, 50, 200), 1_000, 'there was one message')
  t.equal(rates.debt(200), 0, 'and its bytes alone are charged')
})

t.test('without a rate of bytes there is no debt', async (t) => {
  const rates = make({ messages: false, bytes: false })
  rates.spend(1e12, 0)
  t.same([rates.debt(0), rates.take(null, 1e12, 0)], [0, 0])
})

t.test('pings and pongs have a rate of their own', async (t) => {
  const rates = make({ messages: false })
  const taken = Array.from({ length: 250 }, () => rates.takeControl(0)).filter(Boolean)
  t.equal(taken.length, 200)
  t.ok(rates.takeControl(10))
})
