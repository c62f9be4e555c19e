import t from 'tap'
import { Turn } from '../../lib/connection/turn.ts'
import { ReplyBatch } from '../../lib/session/reply-batch.ts'
import { FakeConnection } from '../support/fake-connection.ts'

function rig() {
  const turn = new Turn()
  const { outbox } = new FakeConnection({ turn })
  const sent: string[] = []
  const make = () => new ReplyBatch(turn, { outbox, sendBatch: (replies) => sent.push(replies.join('+')) })
  return { turn, outbox, sent, make }
}

t.test('replies of one turn are sent together, large ones at once', async (t) => {
  const { turn, sent, make } = rig()
  const batch = make()
  batch.add('one')
  batch.add('two')
  t.same(sent, [])
  turn.flush()
  t.same(sent.splice(0), ['one+two'])
  batch.handOut()
  turn.flush()
  t.same(sent, [], 'once')
  make().add('x'.repeat(20_000))
  t.equal(sent[0]?.length, 20_000)
})

t.test('they are sent before a message that is sent in the same turn', async (t) => {
  const { outbox, sent, make } = rig()
  make().add('reply')
  outbox.send(Buffer.from('message'))
  t.same(sent, ['reply'])
})
