import t from 'tap'
import { Mailbox } from '../../lib/http/mailbox.ts'

const letter = (text: string) => ({ data: Buffer.from(text), isBinary: false })

t.test('letters leave in their order, and are bounded by number and by bytes', async (t) => {
  const box = new Mailbox({ maxQueue: 2, maxPayload: 5 })
  t.equal(box.take(), undefined)
  t.same(
    [box.add(letter('abc')), box.add(letter('def')), box.add(letter('gh')), box.add(letter(''))],
    [true, false, true, false]
  )
  t.equal(box.length, 2)
  t.same([box.take()?.data.toString(), box.take()?.data.toString(), box.length], ['abc', 'gh', 0])
  t.ok(box.add(letter('12345')))
})
