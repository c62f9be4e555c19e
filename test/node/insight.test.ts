import t from 'tap'
import { insightOf } from '../../lib/node/insight.ts'
import { buildApp } from '../support/app.ts'

t.test('an application has one, and what is not ours has none', async (t) => {
  const { app } = await buildApp(t, { auth: false }, { jwt: false })
  app.channel('a', { history: { size: 1, ttl: 1_000 } })
  app.channel('b')
  const insight = insightOf(app.realtime)
  t.equal(insight?.kind, 'memory')
  t.match(insight?.historyOf('a'), { size: 1 })
  t.equal(insight?.historyOf('b'), undefined)
  t.equal(insight?.historyOf('c'), undefined)
  t.equal(insightOf(undefined), undefined)
  t.equal(insightOf({}), undefined)
})

t.test('hooks of a scope guard it; those of the scope of the plugin do not count', async (t) => {
  const { app } = await buildApp(t, { auth: false }, { jwt: false })
  const insight = insightOf(app.realtime)
  app.addHook('onRequest', async () => {})
  t.equal(insight?.isGuarded(app), false)
  await app.register(async (scope) => {
    t.equal(insight?.isGuarded(scope), false)
    scope.addHook('onResponse', async () => {})
    t.equal(insight?.isGuarded(scope), false, 'this hook refuses nothing')
    scope.addHook('preHandler', async () => {})
    t.equal(insight?.isGuarded(scope), true)
    await scope.register(async (inner) => void t.equal(insight?.isGuarded(inner), true))
  })
})
