import { test } from 'tap'
import { LineReader } from '../../../../lib/dashboard/page/model/lines.ts'

test('lines come whole, however the text is cut', async (t) => {
  const lines = new LineReader()
  t.same(lines.take('a\nb'), ['a'])
  t.same(lines.take(''), [])
  t.same(lines.take('c\n\nd\n'), ['bc', '', 'd'])
})
