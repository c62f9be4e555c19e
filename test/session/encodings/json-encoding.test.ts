import t from 'tap'
import { ERROR } from '../../../lib/protocol/channel-errors.ts'
import { jsonEncoding } from '../../../lib/session/encodings/json-encoding.ts'

const readLine = (line: string) => jsonEncoding.read(line, 8)
const MALFORMED = 'malformed'
const ping = { id: 1, name: 'ping', request: {} }
const unusable = (id: number) => ({ id, error: ERROR.badRequest })

t.test('a line is a command, the answer to a ping, or nothing of the protocol', async (t) => {
  t.same(readLine('{"id":1,"ping":{}}'), ping)
  t.same(readLine(' {"id":"1","ping":{},"unknown":1}\r'), ping)
  t.same(readLine('{}'), 'pong')
  for (const line of ['', '{', 'null', '5', '[]', '{"id":1}', '{"ping":{}}', '{"id":1,"dance":{}}', '\ufeff{}']) {
    t.same(readLine(line), MALFORMED, line)
  }
})

t.test('depth is bounded, counted before anything is parsed', async (t) => {
  const nested = (depth: number) => `{"id":1,"send":{"data":${'['.repeat(depth)}${']'.repeat(depth)}}}`
  t.match(readLine(nested(6)), { name: 'send' })
  t.same(readLine(nested(7)), MALFORMED)
  t.same(readLine('['.repeat(100_000)), MALFORMED)
})

t.test('a payload that nothing may be done with is refused, by the command’s id', async (t) => {
  const data = [
    '{"__proto__":{"a":1}}',
    '{"a":[{"__proto__":1}]}',
    '{"\\u005f_proto__":1}',
    '{"constructor":{"prototype":{}}}',
    '{"constr\\u0075ctor":{"prototype":{}}}',
    '1e999',
    '"\\ud800"'
  ]
  for (const text of data) t.same(readLine(`{"id":7,"rpc":{"data":${text}}}`), unusable(7), text)
  t.same(readLine('{"send":{"data":{"__proto__":1}}}'), unusable(0))
})

t.test('words that look like it are none', async (t) => {
  for (const text of ['"__proto__"', '{"constructor":1}', '{"proto":"constructor"}', '"\\u00e9"', '"\\ud83d\\ude00"']) {
    t.match(readLine(`{"id":7,"rpc":{"data":${text}}}`), { id: 7, name: 'rpc' }, text)
  }
})

t.test('what is malformed anyhow is not refused as well', async (t) => {
  t.same(readLine('{"id":7,"dance":{"__proto__":1}}'), MALFORMED)
  t.same(readLine('{"__proto__":1}'), 'pong')
})

t.test('case 141: what is no channel name is refused before anything is looked up by it', async (t) => {
  for (const name of ['subscribe', 'unsubscribe', 'publish', 'history', 'presence', 'presence_stats', 'sub_refresh']) {
    for (const channel of ['x'.repeat(256), 'a\u0000', 'x'.repeat(1_000_000)]) {
      t.same(readLine(JSON.stringify({ id: 7, [name]: { channel } })), unusable(7), name)
    }
    t.match(readLine(JSON.stringify({ id: 7, [name]: { channel: 'x'.repeat(255) } })), { name })
  }
})

t.test('the payload of a command, as it came', async (t) => {
  t.equal(jsonEncoding.payloadOf('{"id":1,"publish":{"channel":"a","data": {"z": 1.0}}}', 'publish'), '{"z": 1.0}')
  t.equal(jsonEncoding.payloadOf('{"id":1,"publish":{"channel":"a"}}', 'publish'), undefined)
})

t.test('one command a line, one reply a line', async (t) => {
  t.same(jsonEncoding.split(Buffer.from('{"id":1}\n{"id":2}\n'), 2), ['{"id":1}', '{"id":2}'])
  t.equal(jsonEncoding.split(Buffer.from('{}\n{}\n{}'), 2), undefined)
  t.equal(jsonEncoding.join(['{"id":1}', '{"id":2}']), '{"id":1}\n{"id":2}')
  t.equal(jsonEncoding.idOf('{"id":7,"ping":{}}'), 7)
})
