import t from 'tap'
import { ERROR } from '../../../lib/protocol/channel-errors.ts'
import { refuseUnsafeIntegers } from '../../../lib/session/commands/payload.ts'
import { jsonOverWebSocket as format } from '../../../lib/session/encodings/client-format.ts'
import type { Session } from '../../../lib/session/session.ts'

const session = { format } as Session

/* Which commands ask: test/cases/g-rights.test.ts. */

t.test('case 165: it is the payload that may hold none', async (t) => {
  const code = ERROR.badRequest.code
  t.throws(() => refuseUnsafeIntegers(session, '{"id":1,"rpc":{"data":[9007199254740993]}}', 'rpc'), { code })
  for (const text of [
    '{"id":1,"rpc":{"data":[1]}}',
    '{"id":1,"subscribe":{"channel":"a","offset":18446744073709551615}}',
    '{"id":1,"subscribe":{"channel":"a","offset":18446744073709551615,"data":1}}'
  ]) {
    t.doesNotThrow(() => refuseUnsafeIntegers(session, text, 'subscribe'), text)
  }
})
