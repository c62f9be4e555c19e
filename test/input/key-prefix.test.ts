import { test } from 'tap'
import { assertPrefix } from '../../lib/input/key-prefix.ts'

test('a prefix of Redis keys is 1 to 64 plain characters', async (t) => {
  for (const prefix of ['a', 'my-app_1.2', 'x'.repeat(64)]) assertPrefix(prefix)
  for (const prefix of ['', 'x'.repeat(65), 'a b', 'a:b', '{a}', 'ä', 1, undefined]) {
    t.throws(() => assertPrefix(prefix), { code: 'FST_RT_INVALID_OPTION' }, String(prefix))
  }
})
