import t from 'tap'
import { Turn } from '../../lib/connection/turn.ts'
import { ReplyBatch } from '../../lib/session/reply-batch.ts'

t.test('replies of one turn are one text, and large ones are several', async (t) => {
  const sent: string[] = []
  const batch = new ReplyBatch(new Turn(), (text) => void sent.push(text))
  batch.handOut()
  t.same(sent, [], 'there is none yet')
  batch.add('a')
  batch.add('b')
  await new Promise(setImmediate)
  t.same(sent.splice(0), ['a\nb'])
  for (const letter of ['x', 'y', 'z']) batch.add(letter.repeat(9_000))
  t.equal(sent.length, 1, 'at once, when it is enough')
  await new Promise(setImmediate)
  t.same(
    sent.map((text) => text.length),
    [18_001, 9_000]
  )
})
