import t from 'tap'
import { checkChannelOptions, defineChannel } from '../../lib/routes/channel-options.ts'

/* That app.channel checks them, and what becomes of them: test/channel-routes.test.ts. */

const code = 'FST_RT_INVALID_OPTION'

t.test('options that are wrong say how to fix them', async (t) => {
  const wrong: [options: unknown, message: RegExp][] = [
    [5, /^Option options: give an object \(app\.channel rooms\/:room\)$/],
    [null, /object/],
    [{ histroy: {} }, /^Option histroy: unknown option; use one of /],
    [{ history: { size: 0, ttl: 1_000 } }, /history\.size/],
    [{ history: { size: 1 } }, /history\.ttl/],
    [{ presence: 'yes' }, /presence/],
    [{ presence: null }, /presence/],
    [{ presence: { ttl: 5 } }, /presence\.ttl/],
    [{ joinLeave: 1 }, /^Option joinLeave: give true or false or 'always'/],
    [{ joinLeave: 'never' }, /joinLeave/],
    [{ token: 'x' }, /token/],
    [{ publishers: 'everybody' }, /^Option publishers: give 'subscribers' or 'clients'/],
    [{ prefix: '/v1' }, /prefix/],
    [{ binary: 'yes' }, /^Option binary: give true or false/],
    [{ binary: true, schema: { publication: {} } }, /^Option schema\.publication: leave it out: with binary/],
    [{ schema: 5 }, /schema/],
    [{ schema: null }, /schema/],
    [{ schema: { data: {} } }, /schema\.data/]
  ]
  for (const value of [false, null, 0, 'yes', {}]) {
    for (const name of ['onSubscribe', 'onPublish'])
      wrong.push([{ [name]: value }, new RegExp(`^Option ${name}: .* true`)])
  }
  for (const name of ['onUnsubscribe', 'onPresence', 'onHistory', 'onRefresh']) {
    wrong.push([{ [name]: true }, new RegExp(`^Option ${name}: give a function, or leave it out`)])
  }
  for (const [options, message] of wrong) {
    const check = () => checkChannelOptions('rooms/:room', options as never)
    t.throws(check, { code, message } as never, JSON.stringify(options))
  }
})

t.test('options that are right', async (t) => {
  const right = [
    {},
    { presence: true, joinLeave: 'always', token: true, publishers: 'clients', prefix: false },
    { presence: { ttl: 5_000 }, joinLeave: false, publishers: 'subscribers', onSubscribe: true, onPublish: () => {} },
    {
      history: { size: 1, ttl: 1_000 },
      schema: { params: {}, publication: {} },
      onHistory: undefined,
      token: undefined
    }
  ]
  for (const options of right) t.doesNotThrow(() => checkChannelOptions('a', options as never))
})

t.test('only a channel with history has a newest publication', async (t) => {
  const history = { size: 1, ttl: 60_000 }
  checkChannelOptions('a', { history, recover: 'latest' })
  checkChannelOptions('a', { recover: 'missed' })
  t.throws(() => checkChannelOptions('a', { recover: 'latest' }), {
    code: 'FST_RT_INVALID_OPTION',
    message: /^Option recover: 'latest' requires the option history/
  })
})

t.test('case 173: an option that is undefined is one that is not given', async (t) => {
  const names = ['schema', 'history', 'presence', 'joinLeave', 'token', 'publishers', 'prefix']
  names.push('delta', 'filters', 'recover')
  const hooks = ['onSubscribe', 'onPublish', 'onUnsubscribe', 'onPresence', 'onHistory', 'onRefresh']
  const nothing = Object.fromEntries([...names, ...hooks].map((name) => [name, undefined]))
  checkChannelOptions('a', nothing)
  t.same(JSON.stringify(defineChannel('a', nothing, {})), JSON.stringify(defineChannel('a', {}, {})))
  const { presenceTtl } = defineChannel('a', { presence: { ttl: undefined } }, {})
  t.equal(presenceTtl, defineChannel('a', { presence: true }, {}).presenceTtl)
})

t.test('a definition has every default, and its hooks have the scope', async (t) => {
  t.same(defineChannel('a', {}, undefined), {
    pattern: 'a',
    history: undefined,
    presenceTtl: undefined,
    joinLeave: false,
    token: false,
    publishers: 'subscribers',
    echo: true,
    delta: false,
    filters: false,
    recover: 'missed',
    binary: false,
    hooks: {},
    reported: new Set(),
    validators: {}
  })
  const scope = { name: 'scope' }
  const onPublish = function (this: unknown) {
    t.equal(this, scope)
    return {}
  }
  const { hooks, presenceTtl } = defineChannel('a', { presence: true, onSubscribe: true, onPublish }, scope)
  t.equal(presenceTtl, 30_000)
  t.equal(hooks.onSubscribe, true)
  if (typeof hooks.onPublish === 'function') hooks.onPublish({} as never)
  t.equal(defineChannel('a', { presence: { ttl: 2_000 } }, scope).presenceTtl, 2_000)
  t.equal(defineChannel('a', { presence: {} }, scope).presenceTtl, 30_000)
})
