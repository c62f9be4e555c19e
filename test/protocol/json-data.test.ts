import t from 'tap'
import { jsonData } from '../../lib/protocol/json-data.ts'

t.test('a client of JSON gets null for bytes', async (t) => {
  const data = Buffer.from('{"a":1}')
  t.equal(jsonData({ data }), data)
  t.equal(jsonData({ data: Buffer.from([0xff]), binary: true }).toString(), 'null')
})
