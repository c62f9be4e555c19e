import t from 'tap'
import { checkPublishOptions } from '../../lib/hub/publish-options.ts'

t.test('options of a publish: those that exist', async (t) => {
  for (const options of [{}, { except: 'id' }, { idempotencyKey: 'k', except: undefined }]) checkPublishOptions(options)
  for (const options of [{ exept: 'id' }, { except: 'id', idempotencykey: 'k' }, null, 'except', 5]) {
    t.throws(() => checkPublishOptions(options as never), {
      code: 'FST_RT_INVALID_ARGUMENT',
      message: 'Argument options: give an object of idempotencyKey, except'
    })
  }
})
