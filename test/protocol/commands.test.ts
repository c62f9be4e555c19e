import fc from 'fast-check'
import t from 'tap'
import { idOf, parseCommand, splitFrame } from '../../lib/protocol/commands.ts'

/* What each field may be; what a server answers stands in test/channels/protocol-table.test.ts. */

t.test('a frame is lines', async (t) => {
  const split = (frame: string) => splitFrame(frame, 3)
  t.same(split('a'), ['a'])
  t.same(split('a\nb\n'), ['a', 'b'])
  t.same(split('a\nb\nc\n'), ['a', 'b', 'c'])
  for (const frame of ['', '\n', 'a\n\nb', '\na', 'a\n\n']) t.equal(split(frame), undefined, JSON.stringify(frame))
  t.equal(split('a\nb\nc\nd'), undefined, 'more than there may be')
})

t.test('absent and null fields have their defaults', async (t) => {
  t.same(parseCommand({ id: 1, connect: { token: null, subs: null, data: null } }), {
    id: 1,
    name: 'connect',
    request: { token: '', data: null, name: '', version: '', subs: new Map(), isSpecial: false }
  })
  t.same(parseCommand({ id: 2, subscribe: { channel: 'a', recover: null, flag: null } }), {
    id: 2,
    name: 'subscribe',
    request: {
      channel: 'a',
      token: '',
      data: undefined,
      since: undefined,
      rejectUnrecovered: false,
      joinLeave: false,
      delta: '',
      filter: undefined,
      isSpecial: false
    }
  })
  t.same(parseCommand({ id: 3, history: { channel: 'a', since: null } }), {
    id: 3,
    name: 'history',
    request: { channel: 'a', limit: 0, since: undefined, reverse: false }
  })
  t.same(parseCommand({ id: 4, history: { channel: 'a', since: { offset: null }, limit: -1, reverse: true } }), {
    id: 4,
    name: 'history',
    request: { channel: 'a', limit: -1, since: { offset: 0, epoch: '' }, reverse: true }
  })
  t.equal(parseCommand({}), 'pong')
  t.equal(parseCommand({ id: 0, connect: null }), 'pong')
})

t.test('case 177: forms of a subscription that not every server has', async (t) => {
  const special = (command: object) => (parseCommand({ id: 1, ...command }) as { request: object }).request
  const channel = 'a'
  const forms = [{ tf: { key: 't', cmp: 'eq', val: 'x' } }, { type: 1 }, { type: '4' }, { tf: null, type: 2 }]
  for (const form of forms) {
    for (const name of ['publish', 'sub_refresh']) {
      t.match(special({ [name]: { channel, ...form } }), { isSpecial: true }, name)
    }
    t.match(special({ subscribe: { channel, ...form } }), { isSpecial: 'type' in form })
    t.match(special({ connect: { subs: { a: {}, b: form } } }), { isSpecial: true })
  }
  for (const form of [{}, { tf: null }, { type: 0 }, { type: null }, { delta: 'fossil' }]) {
    t.match(special({ subscribe: { channel, ...form } }), { isSpecial: false })
  }
  t.equal(parseCommand({ id: 1, subscribe: { channel, type: 'map' } }), 'malformed')
  t.equal(parseCommand({ id: 1, subscribe: { channel, delta: 1 } }), 'malformed')
  const [{ tf } = {}] = forms
  t.match(special({ subscribe: { channel, tf, delta: 'fossil' } }), { filter: tf, delta: 'fossil' })
})

t.test('where a client was in streams that the server subscribed it to', async (t) => {
  const subs = { a: { recover: true, offset: '5', epoch: 'x' }, b: { offset: 5 }, c: { recover: true } }
  const command = parseCommand({ id: 1, connect: { subs } })
  t.match(command, {
    request: {
      subs: new Map([
        ['a', { offset: 5, epoch: 'x' }],
        ['b', undefined],
        ['c', { offset: 0, epoch: '' }]
      ])
    }
  })
})

t.test('of several requests the first counts, in the order of the definition', async (t) => {
  t.match(parseCommand({ id: 1, rpc: { method: 'a' }, subscribe: { channel: 'a' } }), { name: 'subscribe' })
})

t.test('whatever comes, nothing is thrown', async (t) => {
  const names = ['id', 'connect', 'subscribe', 'history', 'refresh', 'sub_refresh', 'send', 'rpc', 'publish', 'ping']
  const fields = fc.dictionary(
    fc.constantFrom(
      'channel',
      'token',
      'data',
      'recover',
      'offset',
      'epoch',
      'since',
      'limit',
      'subs',
      'flag',
      'method'
    ),
    fc.oneof(fc.jsonValue(), fc.string(), fc.integer())
  )
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...names), fc.oneof(fields, fc.jsonValue(), fc.integer())), (value) => {
      const parsed = parseCommand(value)
      t.ok(typeof parsed === 'string' || Number.isInteger(parsed.id))
    }),
    { numRuns: 500 }
  )
})

t.test('the id of a command is found where clients write it', async (t) => {
  const lines: [string, number][] = [
    ['{"id":5,"ping":{}}', 5],
    ['{"id":5}', 5],
    ['{"publish":{"channel":"a","data":{"id":9}},"id":5}', 5],
    ['{"publish":{"data":{"a":1,"id":9}}}', 0],
    ['{"send":{"data":"\\"id\\":9"}}', 0],
    ['{"id":"5","ping":{}}', 0],
    ['{ "id": 5, "ping": {} }', 0],
    ['{"id":12345678901,"ping":{}}', 0],
    ['', 0]
  ]
  for (const [line, id] of lines) t.equal(idOf(line), id, line)
})
