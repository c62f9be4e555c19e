import t from 'tap'
import { checkedTags, checkPublishOptions, exceptedId } from '../../lib/hub/publish-options.ts'

t.test('options of a publish: those that exist', async (t) => {
  for (const options of [{}, { except: 'id' }, { idempotencyKey: 'k', except: undefined }]) checkPublishOptions(options)
  for (const options of [{ exept: 'id' }, { except: 'id', idempotencykey: 'k' }, null, 'except', 5]) {
    t.throws(() => checkPublishOptions(options as never), {
      code: 'FST_RT_INVALID_ARGUMENT',
      message: 'Argument options: give an object of idempotencyKey, except, tags'
    })
  }
})

t.test('the excepted connection: a socket, an id, or nobody', async (t) => {
  t.equal(exceptedId(undefined), undefined)
  t.equal(exceptedId('c-1_Z'), 'c-1_Z')
  t.equal(exceptedId({ id: 'c1' }), 'c1')
})

t.test('what can be no connection is refused', async (t) => {
  for (const except of ['', 'a b', 'a'.repeat(65), null, 1, {}, { id: 1 }, [], true]) {
    t.throws(
      () => exceptedId(except as never),
      { code: 'FST_RT_INVALID_ARGUMENT', message: /^Argument except: / },
      `${except}`
    )
  }
})

t.test('tags: a bounded object of texts', async (t) => {
  t.equal(checkedTags(undefined), undefined)
  t.equal(checkedTags({}), undefined)
  t.strictSame(checkedTags({ ticker: 'BTC' }), new Map([['ticker', 'BTC']]))
  for (const tags of [null, 'a', ['a'], { a: 1 }, { '': 'a' }, { a: 'x'.repeat(257) }]) {
    t.throws(() => checkedTags(tags as never), { code: 'FST_RT_INVALID_ARGUMENT', message: /^Argument tags: give an/ })
  }
})
