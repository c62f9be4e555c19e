import t from 'tap'
import { DEFAULTS } from '../../lib/options.ts'
import { Rates } from '../../lib/socket/rates.ts'

const ada = { sub: 'ada' }
const make = (limits: object, userRate: (user: string) => number = () => 0) =>
  new Rates({ ...DEFAULTS.limits, ...limits }, userRate, 0)

t.test('a message costs one of the connection’s tokens, then one of its user’s', async (t) => {
  const asked: string[] = []
  const rates = make({ messages: { rate: 1, burst: 2 }, userMessages: { rate: 1, burst: 1 } }, (user) => {
    asked.push(user)
    return asked.length < 2 ? 0 : 700
  })
  t.same([rates.take(ada, 0), rates.take(ada, 0), rates.take(ada, 0)], [0, 700, 1_000])
  t.same(asked, ['ada', 'ada'], 'the user is not asked for what the connection may not send')
})

t.test('the rate of users is for those who are known, and where there is one', async (t) => {
  const fail = () => t.fail('nobody is asked')
  t.equal(make({ userMessages: { rate: 1, burst: 1 } }, fail as never).take(null, 0), 0)
  t.equal(make({ userMessages: false }, fail as never).take(ada, 0), 0)
  const unnamed = { id: 7 } as never
  t.equal(make({ userMessages: { rate: 1, burst: 1 } }, fail as never).take(unnamed, 0), 0)
})

t.test('charged, a message is taken in any case, and the debt is waited for', async (t) => {
  const rates = make({ messages: { rate: 1, burst: 1 } })
  t.same([rates.charge(null, 0), rates.charge(null, 0), rates.charge(null, 0)], [0, 1_000, 2_000])
  t.equal(make({ messages: false }).charge(null, 0), 0)
})

t.test('pings and pongs have a rate of their own', async (t) => {
  const rates = make({ messages: false })
  const taken = Array.from({ length: 250 }, () => rates.takeControl(0)).filter(Boolean)
  t.equal(taken.length, 200)
  t.ok(rates.takeControl(10))
})

t.test('refusals on end are abuse', async (t) => {
  const rates = make({})
  let told: number | undefined
  for (let now = 0; told === undefined && now < 60_000; now += 100) if (rates.refused(now)) told = now
  t.equal(told, 10_200)
})
