import fc from 'fast-check'
import t from 'tap'
import { ERROR } from '../../../lib/protocol/channel-errors.ts'
import type { CommandName } from '../../../lib/protocol/commands.ts'
import { compileFilter } from '../../../lib/protocol/tags-filter.ts'
import { protobufEncoding } from '../../../lib/session/encodings/protobuf-encoding.ts'
import { bareCommand, commandBytes, type Fields, repliesIn } from '../../support/protobuf.ts'

const { split, read, idOf, payloadOf, publishedValue } = protobufEncoding
const readCommand = (fields: Fields, maxDepth = 8) => read(bareCommand(fields), maxDepth)
const bytes = (text: string) => Buffer.from(text)
const unusable = (id: number) => ({ id, error: ERROR.badRequest })

t.test('a message is commands, each after its length', async (t) => {
  const ping = { id: 1, ping: {} }
  const many = (count: number) => commandBytes(...Array.from({ length: count }, () => ping))
  t.same(split(many(2), 2), [bareCommand(ping), bareCommand(ping)])
  t.equal(split(many(3), 2), undefined, 'too many')
  t.same(split(Buffer.from([0]), 1), [Buffer.alloc(0)])
  t.equal(split(Buffer.alloc(0), 1), undefined, 'none')
  t.equal(split(many(2).subarray(0, -1), 2), undefined, 'the end is missing')
  for (const wrong of [[0x80], [0xff, 0xff, 0xff, 0xff, 0x0f], Array(11).fill(0xff), [5, 8, 1]]) {
    t.equal(split(Buffer.from(wrong), 2), undefined, String(wrong))
  }
})

t.test('every command', async (t) => {
  const data = bytes('{"a": 1}')
  const since = { offset: 7, epoch: 'e' }
  const commands: Record<CommandName, [Fields, unknown]> = {
    connect: [
      { token: 't', data, name: 'n', version: 'v', subs: { a: { recover: true, ...since }, b: {} } },
      {
        token: 't',
        data: { a: 1 },
        name: 'n',
        version: 'v',
        subs: new Map([
          ['a', since],
          ['b', undefined]
        ]),
        isSpecial: false
      }
    ],
    subscribe: [
      { channel: 'a', token: 't', data, recover: true, ...since, flag: 2, join_leave: true },
      {
        channel: 'a',
        token: 't',
        data: { a: 1 },
        since,
        rejectUnrecovered: true,
        joinLeave: true,
        delta: '',
        filter: undefined,
        isSpecial: false
      }
    ],
    unsubscribe: [{ channel: 'a' }, { channel: 'a' }],
    publish: [
      { channel: 'a', data },
      { channel: 'a', data, isSpecial: false }
    ],
    presence: [{ channel: 'a' }, { channel: 'a' }],
    presence_stats: [{ channel: 'a' }, { channel: 'a' }],
    history: [
      { channel: 'a', limit: -1, since, reverse: true },
      { channel: 'a', limit: -1, since, reverse: true }
    ],
    ping: [{}, {}],
    send: [{ data }, { data: { a: 1 } }],
    rpc: [
      { method: 'm', data },
      { method: 'm', data: { a: 1 } }
    ],
    refresh: [{ token: 't' }, { token: 't' }],
    sub_refresh: [
      { channel: 'a', token: 't' },
      { channel: 'a', token: 't', isSpecial: false }
    ]
  }
  for (const [name, [fields, request]] of Object.entries(commands)) {
    t.same(readCommand({ id: 4_294_967_295, [name]: fields }), { id: 4_294_967_295, name, request }, name)
  }
})

t.test('what is missing has its default', async (t) => {
  t.match(readCommand({ id: 1, rpc: {} }), { request: { method: '', data: undefined } })
  t.match(readCommand({ id: 1, publish: { channel: 'a' } }), { request: { data: undefined } })
  t.match(readCommand({ id: 1, subscribe: { channel: 'a' } }), { request: { since: undefined, joinLeave: false } })
  t.match(readCommand({ id: 1, history: { channel: 'a' } }), { request: { since: undefined, limit: 0 } })
})

t.test('deltas and filters', async (t) => {
  const leaf = { key: 'k', cmp: 'in', vals: ['a', 'b'] }
  const tf = { op: 'and', nodes: [leaf, { op: 'not', nodes: [{ key: 'k', cmp: 'eq', val: 'b' }] }] }
  const read = readCommand({ id: 1, subscribe: { channel: 'a', delta: 'fossil', tf } })
  t.match(read, { request: { delta: 'fossil' } })
  const { filter } = (read as { request: { filter: unknown } }).request
  const passes = compileFilter(filter)
  t.same(
    ['a', 'b', 'c'].map((value) => passes(new Map([['k', value]]))),
    [true, false, false]
  )
})

t.test('forms of subscription that are not supported', async (t) => {
  t.match(readCommand({ id: 1, subscribe: { channel: 'a', type: 1 } }), { request: { isSpecial: true } })
  t.match(readCommand({ id: 1, publish: { channel: 'a', type: 1 } }), { request: { isSpecial: true } })
})

t.test('an offset beyond 2^53 cannot be recovered, and breaks nothing', async (t) => {
  const far = { recover: true, offset: '18446744073709551615', epoch: 'e' }
  t.match(readCommand({ id: 1, subscribe: { channel: 'a', ...far } }), {
    request: { since: { offset: -1, epoch: 'e' } }
  })
  const most = { ...far, offset: Number.MAX_SAFE_INTEGER }
  t.match(readCommand({ id: 1, subscribe: { channel: 'a', ...most } }), { request: { since: { offset: most.offset } } })
})

t.test('the answer to a ping, and what is no command', async (t) => {
  t.equal(read(Buffer.alloc(0), 8), 'pong')
  t.equal(readCommand({ id: 1 }), 'malformed')
  t.equal(readCommand({ ping: {} }), 'malformed')
  t.equal(readCommand({ id: 1, refresh: {} }), 'malformed')
  for (const wrong of [[0x80], [0x22, 5], [0x22, 3, 0x0a, 1, 0xff], [0x0f], [0x0b], [0x00, 1]]) {
    t.equal(read(Buffer.from(wrong), 8), 'malformed', String(wrong))
  }
})

t.test('unknown fields are ignored', async (t) => {
  // Field 100 as a varint, as eight bytes, as bytes, as a group with a field, and as four bytes.
  const unknown = ['a00601', 'a1060102030405060708', 'a206020102', 'a3060801a406', 'a50601020304'].join('')
  const command = Buffer.concat([
    Buffer.from(unknown, 'hex'),
    bareCommand({ id: 1, ping: {} }),
    Buffer.from(unknown, 'hex')
  ])
  t.same(read(command, 8), { id: 1, name: 'ping', request: {} })
})

t.test('nested filters are bounded', async (t) => {
  let filter = Buffer.alloc(0)
  for (let depth = 0; depth < 3_000; depth++) filter = Buffer.concat([field(6), length(filter.length), filter])
  const request = Buffer.concat([field(13), length(filter.length), filter])
  t.equal(read(Buffer.concat([Buffer.from([8, 1]), field(5), length(request.length), request]), 8), 'malformed')
})

t.test('a payload that is no JSON is refused, by the command’s id', async (t) => {
  for (const text of ['{', '\ufeff1', '1e999', '{"__proto__":1}', '"\\ud800"', '[[[[[[[1]]]]]]]']) {
    for (const name of ['connect', 'send', 'rpc'])
      t.same(readCommand({ id: 7, [name]: { data: bytes(text) } }), unusable(7), text)
    t.same(readCommand({ id: 7, subscribe: { channel: 'a', data: bytes(text) } }), unusable(7), text)
    t.match(
      readCommand({ id: 7, publish: { channel: 'a', data: bytes(text) } }),
      { name: 'publish' },
      'it may be bytes'
    )
    t.throws(() => publishedValue(bytes(text), 8), { code: 107 }, text)
  }
  t.match(readCommand({ id: 7, rpc: { data: bytes('[[[[[[1]]]]]]') } }), { name: 'rpc' }, 'as deep as in JSON')
  t.same(readCommand({ id: 7, rpc: { data: bytes('[1]') } }, 1), unusable(7))
  t.same(publishedValue(bytes('{"a":1}'), 8), { a: 1 })
})

t.test('case 141: what is no channel name is refused before anything is looked up by it', async (t) => {
  for (const name of ['subscribe', 'unsubscribe', 'publish', 'history', 'presence', 'presence_stats', 'sub_refresh']) {
    for (const channel of ['x'.repeat(256), 'a\u0000'])
      t.same(readCommand({ id: 7, [name]: { channel } }), unusable(7), name)
  }
})

t.test('the id of a command that is not read', async (t) => {
  t.equal(idOf(bareCommand({ id: 300, rpc: { data: Buffer.alloc(5_000) } })), 300)
  t.equal(idOf(bareCommand({ send: {} })), 0)
  t.equal(idOf(Buffer.alloc(0)), 0)
  t.equal(idOf(Buffer.from([8, 0x80])), 0)
})

t.test('the payload of a command, as it came, on one line', async (t) => {
  const published = (data: Buffer) => payloadOf(bareCommand({ id: 1, publish: { channel: 'a', data } }), 'publish')
  t.equal(published(bytes('{"z": 1.0}')), '{"z": 1.0}')
  t.equal(published(bytes('{\n"z":\r\n1}')), '{ "z": 1}')
  t.equal(published(Buffer.alloc(0)), undefined)
  t.equal(payloadOf(bareCommand({ id: 1, ping: {} }), 'rpc'), undefined)
})

t.test('replies follow one another', async (t) => {
  const { reply, join } = protobufEncoding
  const [one, two] = [reply(1, 'ping', {}), reply(2, 'ping', {})]
  t.equal(join([one]), one)
  t.same(repliesIn(join([one, two]) as Buffer), [
    { id: 1, ping: {} },
    { id: 2, ping: {} }
  ])
})

t.test('any bytes are read to an end', async () => {
  const command = fc.uint8Array({ maxLength: 200 }).map((data) => Buffer.from(data))
  fc.assert(
    fc.property(command, (data) => {
      for (const part of split(data, 10) ?? [data]) {
        read(part, 8)
        idOf(part)
      }
    }),
    { numRuns: 3_000 }
  )
})

/** The tag of a field with a length. */
function field(number: number): Buffer {
  return Buffer.from([(number << 3) | 2])
}

function length(size: number): Buffer {
  const found: number[] = []
  for (let left = size; ; left >>>= 7) {
    if (left < 0x80) return Buffer.from([...found, left])
    found.push((left & 0x7f) | 0x80)
  }
}
