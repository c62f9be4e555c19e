import t from 'tap'
import { idIn, readLine } from '../../lib/session/line.ts'

const MALFORMED = { parsed: 'malformed' }
const ping = { parsed: { id: 1, name: 'ping', request: {} } }

t.test('a line is a command, the answer to a ping, or nothing of the protocol', async (t) => {
  t.same(readLine('{"id":1,"ping":{}}', 8), ping)
  t.same(readLine(' {"id":"1","ping":{},"unknown":1}\r', 8), ping)
  t.same(readLine('{}', 8), { parsed: 'pong' })
  for (const line of ['', '{', 'null', '5', '[]', '{"id":1}', '{"ping":{}}', '{"id":1,"dance":{}}', '\ufeff{}']) {
    t.same(readLine(line, 8), MALFORMED, line)
  }
})

t.test('depth is bounded, counted before anything is parsed', async (t) => {
  const nested = (depth: number) => `{"id":1,"send":{"data":${'['.repeat(depth)}${']'.repeat(depth)}}}`
  t.match(readLine(nested(6), 8), { parsed: { name: 'send' } })
  t.same(readLine(nested(7), 8), MALFORMED)
  t.same(readLine('['.repeat(100_000), 8), MALFORMED)
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
  for (const text of data) t.same(readLine(`{"id":7,"rpc":{"data":${text}}}`, 8), { refused: 7 }, text)
  t.same(readLine('{"send":{"data":{"__proto__":1}}}', 8), { refused: 0 })
})

t.test('words that look like it are none', async (t) => {
  for (const text of ['"__proto__"', '{"constructor":1}', '{"proto":"constructor"}', '"\\u00e9"', '"\\ud83d\\ude00"']) {
    t.match(readLine(`{"id":7,"rpc":{"data":${text}}}`, 8), { parsed: { id: 7, name: 'rpc' } }, text)
  }
})

t.test('what is malformed anyhow is not refused as well', async (t) => {
  t.same(readLine('{"id":7,"dance":{"__proto__":1}}', 8), MALFORMED)
  t.same(readLine('{"__proto__":1}', 8), { parsed: 'pong' })
})

t.test('case 141: what is no channel name is refused before anything is looked up by it', async (t) => {
  for (const name of ['subscribe', 'unsubscribe', 'publish', 'history', 'presence', 'presence_stats', 'sub_refresh']) {
    for (const channel of ['x'.repeat(256), 'a\u0000', 'x'.repeat(1_000_000)]) {
      t.same(readLine(JSON.stringify({ id: 7, [name]: { channel } }), 8), { refused: 7 }, name)
    }
    t.match(readLine(JSON.stringify({ id: 7, [name]: { channel: 'x'.repeat(255) } }), 8), { parsed: { name } })
  }
})

t.test('the id of a line, whatever becomes of it', async (t) => {
  const lines = ['{"id":7,"ping":{}}', '{"id":7,"rpc":{"data":1e999}}', '{}', '?']
  t.same(
    lines.map((line) => idIn(readLine(line, 8))),
    [7, 7, 0, 0]
  )
})
