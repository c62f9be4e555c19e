import t from 'tap'
import { streamEncodingOf } from '../../lib/http/stream-encodings.ts'
import { jsonOverLines, protobufOverBytes } from '../../lib/session/encodings/client-format.ts'

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
  // Characters that have no UTF-8 are not replaced by others.
  t.equal(read('{"node":"n","session":"s","data":"\\ud800"}'), undefined)
  const bytes = Buffer.from('{"node":"n","session":"s","data":"?"}')
  bytes[bytes.indexOf('?')] = 0xff
  t.equal(streamEncodingOf('application/json')?.readEmulation(bytes), undefined)
})

t.test('Protobuf', async (t) => {
  const encoding = streamEncodingOf('application/octet-stream')
  t.equal(encoding?.format, protobufOverBytes)
  // Fields 1 to 3: node, session, data.
  const body = Buffer.from([10, 1, 0x6e, 18, 1, 0x73, 26, 2, 0, 1])
  const { node, session, data } = encoding?.readEmulation(body) ?? {}
  t.same([node, session, [...(data ?? [])]], ['n', 's', [0, 1]])
  t.same(encoding?.readEmulation(Buffer.alloc(0)), { node: '', session: '', data: Buffer.alloc(0) })
  for (const bytes of [[10, 9, 0], [10], [255, 255]]) t.equal(encoding?.readEmulation(Buffer.from(bytes)), undefined)
})
