import t from 'tap'
import { streamEncodingOf } from '../../lib/http/stream-encodings.ts'
import { jsonOverLines } from '../../lib/session/encodings/client-format.ts'

t.test('the content type names the encoding', async (t) => {
  for (const type of ['application/json', 'Application/JSON; charset=utf-8']) {
    t.equal(streamEncodingOf(type)?.format, jsonOverLines)
  }
  for (const type of [undefined, '', 'text/plain', ';']) t.equal(streamEncodingOf(type), undefined)
})

t.test('a request with commands', async (t) => {
  const read = (body: string) => streamEncodingOf('application/json')?.readEmulation(Buffer.from(body))
  t.same(read('{"node":"n","session":"s","data":"{}"}'), { node: 'n', session: 's', data: Buffer.from('{}') })
  for (const body of ['', '[', 'null', '1', '{"node":"n"}', '{"node":"n","session":1,"data":""}']) {
    t.equal(read(body), undefined)
  }
})
