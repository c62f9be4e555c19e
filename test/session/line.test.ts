import t from 'tap'
import { DEFAULTS } from '../../lib/options/options.ts'
import { ERROR } from '../../lib/protocol/channel-errors.ts'
import { readLine } from '../../lib/session/line.ts'
import { FakeConnection } from '../support/fake-connection.ts'

const connection = new FakeConnection({ limits: { ...DEFAULTS.limits, maxDepth: 8 } })
const MALFORMED = 'malformed'
const ping = { id: 1, name: 'ping', request: {} }
const unusable = (id: number) => ({ id, error: ERROR.badRequest })

t.test('a line is a command, the answer to a ping, or nothing of the protocol', async (t) => {
  t.same(readLine('{"id":1,"ping":{}}', connection), ping)
  t.same(readLine(' {"id":"1","ping":{},"unknown":1}\r', connection), ping)
  t.same(readLine('{}', connection), 'pong')
  for (const line of ['', '{', 'null', '5', '[]', '{"id":1}', '{"ping":{}}', '{"id":1,"dance":{}}', '\ufeff{}']) {
    t.same(readLine(line, connection), MALFORMED, line)
  }
})

t.test('depth is bounded, counted before anything is parsed', async (t) => {
  const nested = (depth: number) => `{"id":1,"send":{"data":${'['.repeat(depth)}${']'.repeat(depth)}}}`
  t.match(readLine(nested(6), connection), { name: 'send' })
  t.same(readLine(nested(7), connection), MALFORMED)
  t.same(readLine('['.repeat(100_000), connection), MALFORMED)
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
  for (const text of data) t.same(readLine(`{"id":7,"rpc":{"data":${text}}}`, connection), unusable(7), text)
  t.same(readLine('{"send":{"data":{"__proto__":1}}}', connection), unusable(0))
})

t.test('words that look like it are none', async (t) => {
  for (const text of ['"__proto__"', '{"constructor":1}', '{"proto":"constructor"}', '"\\u00e9"', '"\\ud83d\\ude00"']) {
    t.match(readLine(`{"id":7,"rpc":{"data":${text}}}`, connection), { id: 7, name: 'rpc' }, text)
  }
})

t.test('what is malformed anyhow is not refused as well', async (t) => {
  t.same(readLine('{"id":7,"dance":{"__proto__":1}}', connection), MALFORMED)
  t.same(readLine('{"__proto__":1}', connection), 'pong')
})

t.test('case 141: what is no channel name is refused before anything is looked up by it', async (t) => {
  for (const name of ['subscribe', 'unsubscribe', 'publish', 'history', 'presence', 'presence_stats', 'sub_refresh']) {
    for (const channel of ['x'.repeat(256), 'a\u0000', 'x'.repeat(1_000_000)]) {
      t.same(readLine(JSON.stringify({ id: 7, [name]: { channel } }), connection), unusable(7), name)
    }
    t.match(readLine(JSON.stringify({ id: 7, [name]: { channel: 'x'.repeat(255) } }), connection), { name })
  }
})

t.test('a line past the rate is refused by its id; a large one is not parsed for that', async (t) => {
  const taken: number[] = []
  const slow = new FakeConnection()
  slow.intake.takeCommand = (bytes) => taken.push(bytes) < 0
  const tooMany = (id: number) => ({ id, error: ERROR.tooManyRequests })
  t.same(readLine('{"id":7,"ping":{}}', slow), tooMany(7))
  t.same(readLine('{"id":7,"rpc":{"data":1e999}}', slow), tooMany(7))
  t.same(readLine(`{"id":7,"rpc":${'['.repeat(5_000)}`, slow), tooMany(7))
  t.same(taken, [18, 29, 5_014])
  t.same(
    ['{}', '?'].map((line) => readLine(line, slow)),
    ['pong', MALFORMED]
  )
  t.equal(taken.length, 3, 'neither is a command')
})
