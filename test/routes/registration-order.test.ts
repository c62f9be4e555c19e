import cookie from '@fastify/cookie'
import session from '@fastify/session'
import t from 'tap'
import type { RealtimeOptions } from '../../lib/options/options.ts'
import { atLeast, buildApp } from '../support/app.ts'

/* auth.authenticate and the plugins whose hooks it relies on, in both orders. */

const MESSAGE = 'auth.authenticate runs before these are filled: register their plugins first'
const secret = 'a secret of 32 characters or more'

t.test('plugins that authenticate may read are to be registered first', async (t) => {
  const authenticate = () => ({ sub: 'ada' })
  const cases: [title: string, options: RealtimeOptions, first: string[], late: string[] | undefined][] = [
    ['both too late', { auth: { authenticate } }, [], ['cookies', 'session']],
    ['the session too late', { auth: { authenticate } }, ['cookies'], ['session']],
    ['both in time', { auth: { authenticate } }, ['cookies', 'session'], undefined],
    ['without authenticate', { auth: { verify: authenticate } }, [], undefined],
    ['without authentication', { auth: false }, [], undefined]
  ]
  for (const [title, options, first, late] of cases) {
    const { app, logs } = await buildApp(t, options, {
      jwt: false,
      before: async (app) => {
        if (first.includes('cookies')) await app.register(cookie)
        if (first.includes('session')) await app.register(session, { secret })
      }
    })
    if (!first.includes('cookies')) await app.register(cookie)
    if (!first.includes('session')) await app.register(session, { secret })
    await app.ready()
    const expected = late === undefined ? [] : [{ level: 40, msg: MESSAGE, late }]
    t.match(atLeast(logs, 'warn'), expected, title)
    t.equal(atLeast(logs, 'warn').length, expected.length, title)
  }
  const { app, logs } = await buildApp(t, { auth: { authenticate } }, { jwt: false })
  await app.ready()
  t.same(atLeast(logs, 'warn'), [], 'without such plugins')
})
