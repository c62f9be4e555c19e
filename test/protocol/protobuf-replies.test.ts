import t from 'tap'
import { protobufReplies } from '../../lib/protocol/protobuf-replies.ts'
import type { SubscribeReply } from '../../lib/protocol/results.ts'
import { repliesIn } from '../support/protobuf.ts'

const { reply, error } = protobufReplies
const one = (message: Buffer) => {
  const found = repliesIn(message)
  if (found.length !== 1) throw new Error(`${found.length} replies`)
  return found[0]
}
const plain: SubscribeReply = {
  ttl: undefined,
  position: undefined,
  recovery: 'none',
  publications: [],
  data: undefined
}
const info = Buffer.from('{"user":"u","client":"c","conn_info": {"n":1.0},"chan_info":[2]}')
const asInfo = { user: 'u', client: 'c', conn_info: '{"n":1.0}', chan_info: '[2]' }
const MOST = Number.MAX_SAFE_INTEGER

t.test('an empty reply is a ping', async (t) => {
  t.same(protobufReplies.ping, Buffer.from([0]))
  t.same(one(protobufReplies.ping), {})
})

t.test('the results that only confirm', async (t) => {
  for (const name of ['unsubscribe', 'publish', 'ping'] as const) t.same(one(reply(7, name, {})), { id: 7, [name]: {} })
  t.same(one(reply(7, 'send', {})), { id: 7 })
})

t.test('errors', async (t) => {
  t.same(one(error(3, { code: 107, message: 'bad request' })), { id: 3, error: { code: 107, message: 'bad request' } })
  t.same(one(error(3, { code: 100, message: 'é', temporary: true })), {
    id: 3,
    error: { code: 100, message: 'é', temporary: true }
  })
})

t.test('connect, with the subscriptions that the server made', async (t) => {
  const subs = new Map([['__proto__', { ...plain, data: '1' }]])
  const result = { client: 'c', version: 'v', ttl: 60, ping: 28, data: '{"a":1}', subs }
  const { connect } = one(reply(1, 'connect', result)) as { connect: { subs: object } }
  t.same(
    { ...connect, subs: Object.entries(connect.subs) },
    {
      client: 'c',
      version: 'v',
      expires: true,
      ttl: 60,
      data: '{"a":1}',
      subs: [['__proto__', { data: '1' }]],
      ping: 28,
      pong: true
    }
  )
  const none = { ...result, ttl: undefined, data: undefined, subs: new Map([['a', plain]]) }
  t.same(one(reply(1, 'connect', none)), {
    id: 1,
    connect: { client: 'c', version: 'v', ping: 28, pong: true, subs: { a: {} } }
  })
})

t.test('subscribe, with a position and what was missed', async (t) => {
  t.same(one(reply(2, 'subscribe', plain)), { id: 2, subscribe: {} })
  const publications = [
    { data: Buffer.from('{"z": 1.0}'), offset: 1, info },
    { data: Buffer.from([0xff, 0x0a, 0]), binary: true as const, offset: MOST }
  ]
  const result: SubscribeReply = {
    ttl: 5,
    position: { offset: MOST, epoch: 'e' },
    recovery: 'done',
    publications,
    data: 'null'
  }
  t.same(one(reply(2, 'subscribe', result)), {
    id: 2,
    subscribe: {
      expires: true,
      ttl: 5,
      recoverable: true,
      epoch: 'e',
      offset: MOST,
      positioned: true,
      was_recovering: true,
      recovered: true,
      publications: [
        { data: '{"z": 1.0}', offset: 1, info: asInfo },
        { data: '\xff\n\0', offset: MOST }
      ],
      data: 'null'
    }
  })
  t.same(one(reply(2, 'subscribe', { ...plain, recovery: 'failed' })), { id: 2, subscribe: { was_recovering: true } })
})

t.test('history, presence, calls and refreshes', async (t) => {
  const position = { offset: 4, epoch: 'e' }
  t.same(one(reply(1, 'history', { publications: [{ data: Buffer.from('1'), offset: 4 }], position })), {
    id: 1,
    history: { publications: [{ data: '1', offset: 4 }], epoch: 'e', offset: 4 }
  })
  t.same(one(reply(1, 'presence', { clients: [['c', info]] })), { id: 1, presence: { presence: { c: asInfo } } })
  t.same(one(reply(1, 'presence_stats', { clients: 3, users: 2 })), {
    id: 1,
    presence_stats: { num_clients: 3, num_users: 2 }
  })
  t.same(one(reply(1, 'rpc', { data: '{"a":"é"}' })), {
    id: 1,
    rpc: { data: Buffer.from('{"a":"é"}').toString('latin1') }
  })
  t.same(one(reply(1, 'refresh', { client: 'c', version: 'v', ttl: undefined })), {
    id: 1,
    refresh: { client: 'c', version: 'v' }
  })
  t.same(one(reply(1, 'sub_refresh', { ttl: 9 })), { id: 1, sub_refresh: { expires: true, ttl: 9 } })
})

t.test('pushes', async (t) => {
  const { subscribePush, unsubscribePush, refreshPush, laggingPush, presencePush, publicationPush } = protobufReplies
  t.same(one(subscribePush('a', { ...plain, position: { offset: 2, epoch: 'e' }, data: '1' })), {
    push: { channel: 'a', subscribe: { recoverable: true, epoch: 'e', offset: 2, positioned: true, data: '1' } }
  })
  t.same(one(unsubscribePush('a', { code: 2500, reason: 'x' })), {
    push: { channel: 'a', unsubscribe: { code: 2500, reason: 'x' } }
  })
  t.same(one(refreshPush(60)), { push: { refresh: { expires: true, ttl: 60 } } })
  t.same(one(refreshPush(undefined)), { push: { refresh: {} } })
  t.same(one(laggingPush(3)), { push: { message: { data: '{"notice":{"code":"lagging","dropped":3}}' } } })
  for (const kind of ['join', 'leave'] as const) {
    t.same(one(presencePush('a', kind, info)), { push: { channel: 'a', [kind]: { info: asInfo } } })
  }
  t.same(one(publicationPush('a', { data: Buffer.from('1'), offset: 0 })), {
    push: { channel: 'a', pub: { data: '1' } }
  })
  t.same(one(publicationPush('a', { data: Buffer.from('1'), offset: 5, info })), {
    push: { channel: 'a', pub: { data: '1', offset: 5, info: asInfo } }
  })
})

t.test('a description that another program wrote into Redis', async (t) => {
  const described = (text: string) => one(protobufReplies.presencePush('a', 'join', Buffer.from(text)))
  for (const text of ['{', '{"user":"u" x}', '5', 'null', `${'['.repeat(10_000)}1`]) {
    t.same(described(text), { push: { channel: 'a', join: {} } }, text.slice(0, 20))
    t.same(one(reply(1, 'presence', { clients: [['c', Buffer.from(text)]] })), {
      id: 1,
      presence: { presence: { c: {} } }
    })
  }
  t.same(described('{"user":1,"client":{}}'), { push: { channel: 'a', join: { info: {} } } })
})

t.test('tags, deltas, and the end of a stream', async (t) => {
  const data = Buffer.from('[1]')
  const tags = new Map([['k', 'v']])
  const push = (publication: object) =>
    one(protobufReplies.publicationPush('a', { data, offset: 3, ...publication }))?.push as { pub: object }
  t.same(push({ tags }).pub, { data: '[1]', offset: 3, tags: { k: 'v' } })
  t.same(push({ delta: 'whole' }).pub, { data: '[1]', offset: 3 })
  t.same(push({ delta: Buffer.from('delta') }).pub, { data: 'delta', offset: 3, delta: true })
  t.same(one(reply(1, 'subscribe', { ...plain, delta: true })), { id: 1, subscribe: { delta: true } })
  t.same(one(protobufReplies.disconnectPush({ code: 3001, reason: 'shutdown' })), {
    push: { disconnect: { code: 3001, reason: 'shutdown' } }
  })
})
