import t from 'tap'
import { ERROR } from '../../lib/protocol/channel-errors.ts'
import { findDeclared } from '../../lib/session/declared-channel.ts'
import { sessionRig } from './session-rig.ts'

t.test('a channel is found by its name, with its parameters', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('boards/:board/:layer')
  rig.channel('numbers/:n', {
    validators: {
      params: (params) => {
        const n = Number((params as { n: string }).n)
        return Number.isNaN(n) ? false : { value: { n } }
      }
    }
  })
  const { session } = await rig.client()
  t.match(findDeclared(session.services, 'boards/1/ink'), {
    params: { board: '1', layer: 'ink' },
    definition: { token: false }
  })
  t.match(findDeclared(session.services, 'numbers/5'), { params: { n: 5 } }, 'as its schema leaves them')
  t.throws(() => findDeclared(session.services, 'numbers/x'), { code: ERROR.unknownChannel.code })
  t.throws(() => findDeclared(session.services, 'nowhere'), { code: ERROR.unknownChannel.code })
  t.throws(() => findDeclared(session.services, 'boards/1/\u0000'), { code: ERROR.badRequest.code })
})
