import t from 'tap'
import { publicationOf, timeOf } from '../../../lib/broker/redis/stream-entry.ts'

const entry = (...fields: string[]): [Buffer, Buffer[]] => [Buffer.from('7-0'), fields.map((text) => Buffer.from(text))]
const plain = ['d', '1', 'a', '1700']

t.test('the optional fields of an entry: absent, empty, or there', async (t) => {
  const publication = { offset: 7, epoch: 'e', data: Buffer.from('1'), info: undefined }
  const info = Buffer.from('{}')
  const tags = new Map([['k', 'v']])
  const text = '{"k":"v"}'
  const rows: [fields: string[], expected: object][] = [
    [[], publication],
    [['i', '{}'], { ...publication, info }],
    [['i', '', 'x', 'c1'], { ...publication, except: 'c1' }],
    [['i', '{}', 'x', 'c1', 't', text], { ...publication, info, except: 'c1', tags }],
    [['i', '', 'x', '', 't', text], { ...publication, tags }],
    [['i', '', 'x', '', 't', 'no JSON'], publication]
  ]
  for (const [fields, expected] of rows) t.strictSame(publicationOf(entry(...plain, ...fields), 'e'), expected)
  t.equal(timeOf(entry(...plain)), 1700)
})
