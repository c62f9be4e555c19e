import t from 'tap'
import { connectFault } from '../../lib/http/connect-fault.ts'
import { jsonEncoding } from '../../lib/session/encodings/json-encoding.ts'

t.test('a stream begins with one connect', async (t) => {
  const fault = (text: string) => connectFault(Buffer.from(text), jsonEncoding, 64)
  for (const good of ['{"id":1,"connect":{}}', '{"id":1,"connect":{}}\n']) t.equal(fault(good), undefined)
  for (const bad of ['', '\n', '{"id":1,"connect":{}}\n{"id":2,"ping":{}}']) t.equal(fault(bad), 'give one command')
  for (const bad of ['{', '{}', '{"id":1,"ping":{}}', '{"id":1,"subscribe":{"channel":"\\u0000"}}']) {
    t.equal(fault(bad), 'give a connect command')
  }
  const name = Buffer.from([0xff])
  const bytes = Buffer.concat([Buffer.from('{"id":1,"connect":{"name":"'), name, Buffer.from('"}}')])
  t.equal(connectFault(bytes, jsonEncoding, 64), 'give a text in UTF-8')
})
