import t from 'tap'
import { framePayloads } from '../../lib/protocol/frame.ts'
import { webSocketFraming } from '../../lib/protocol/framing.ts'
import * as replies from '../../lib/protocol/replies.ts'
import type { ReplyPublication, ResultsByCommand } from '../../lib/protocol/results.ts'

/* Every reply and push, as it goes out. */

const info = replies.clientInfo({ user: 'ada', client: 'c1', connection: '{"nick":"A"}', channel: '[1]' })
const plain = replies.clientInfo({ user: '', client: 'c"2' })

t.test('descriptions of clients', async (t) => {
  t.equal(info, '{"user":"ada","client":"c1","conn_info":{"nick":"A"},"chan_info":[1]}')
  t.equal(plain, '{"user":"","client":"c\\"2"}')
})

/** A result, as the reply to the command 1 has it. */
function result<Name extends keyof ResultsByCommand>(name: Name, value: ResultsByCommand[Name]): string {
  const text = replies.reply(1, name, value)
  return text.slice(`{"id":1,"${name}":`.length, -1)
}

t.test('replies', async (t) => {
  t.equal(
    replies.reply(7, 'presence_stats', { clients: 2, users: 1 }),
    '{"id":7,"presence_stats":{"num_clients":2,"num_users":1}}'
  )
  t.equal(
    replies.errorReply(1, { code: 103, message: 'no', temporary: false }),
    '{"id":1,"error":{"code":103,"message":"no"}}'
  )
  t.equal(
    replies.errorReply(1, { code: 100, message: 'no', temporary: true }),
    '{"id":1,"error":{"code":100,"message":"no","temporary":true}}'
  )
  t.equal(replies.disconnectPush({ code: 3001, reason: 'r' }), '{"push":{"disconnect":{"code":3001,"reason":"r"}}}')
  const bare = { ttl: undefined, position: undefined, recovery: 'none', publications: [], data: undefined } as const
  const connect = { client: 'c1', version: 'v', ping: 25 }
  t.equal(
    result('connect', { ...connect, ttl: undefined, data: undefined, subs: new Map() }),
    '{"client":"c1","version":"v","ping":25,"pong":true}'
  )
  t.equal(
    result('connect', { ...connect, ttl: 60, data: '{"a":1}', subs: new Map([['x"', bare]]) }),
    '{"client":"c1","version":"v","expires":true,"ttl":60,"data":{"a":1},"subs":{"x\\"":{}},"ping":25,"pong":true}'
  )
  t.equal(
    result('subscribe', {
      ttl: undefined,
      position: undefined,
      recovery: 'none',
      publications: [],
      data: undefined
    }),
    '{}'
  )
  t.equal(
    result('subscribe', {
      ttl: 5,
      position: { offset: 2, epoch: 'e' },
      recovery: 'done',
      publications: [{ data: Buffer.from('1.0'), offset: 3, info: Buffer.from(plain) }],
      data: 'null'
    }),
    `{"expires":true,"ttl":5,"recoverable":true,"epoch":"e","offset":2,"positioned":true,"publications":[{"data":1.0,"offset":3,"info":${plain}}],"was_recovering":true,"recovered":true,"data":null}`
  )
  t.equal(
    result('subscribe', {
      ttl: undefined,
      position: undefined,
      recovery: 'failed',
      publications: [],
      data: undefined
    }),
    '{"was_recovering":true}'
  )
  t.equal(
    result('refresh', { client: 'c1', version: 'v', ttl: 9 }),
    '{"client":"c1","version":"v","expires":true,"ttl":9}'
  )
  t.equal(result('sub_refresh', { ttl: undefined }), '{}')
  t.equal(result('sub_refresh', { ttl: 3 }), '{"expires":true,"ttl":3}')
  t.equal(
    result('history', { publications: [], position: { offset: 4, epoch: 'e' } }),
    '{"publications":[],"epoch":"e","offset":4}'
  )
  t.equal(result('presence', { clients: [['c1', Buffer.from(info)]] }), `{"presence":{"c1":${info}}}`)
  t.equal(result('rpc', { data: '[]' }), '{"data":[]}')
})

t.test('pushes', async (t) => {
  t.equal(
    replies.unsubscribePush('a"', { code: 2500, reason: 'r' }),
    '{"push":{"channel":"a\\"","unsubscribe":{"code":2500,"reason":"r"}}}'
  )
  const bare = { ttl: 3, position: undefined, recovery: 'none', publications: [], data: undefined } as const
  t.equal(replies.subscribePush('a', bare), '{"push":{"channel":"a","subscribe":{"expires":true,"ttl":3}}}')
  t.equal(replies.refreshPush(5), '{"push":{"refresh":{"expires":true,"ttl":5}}}')
  t.equal(replies.refreshPush(undefined), '{"push":{"refresh":{}}}')
  t.equal(replies.presencePush('a', 'join', info), `{"push":{"channel":"a","join":{"info":${info}}}}`)
  t.equal(replies.laggingPush(3), '{"push":{"message":{"data":{"notice":{"code":"lagging","dropped":3}}}}}')
})

t.test('publications are frames, their data as it is', async (t) => {
  const head = replies.publicationHead('a"')
  const text = (publication: ReplyPublication) =>
    Array.from(framePayloads(replies.publicationPush(head, publication, webSocketFraming)), ({ payload }) =>
      payload.toString()
    )
  const data = Buffer.from('{"n":1.0}')
  t.same(text({ data, offset: 0 }), ['{"push":{"channel":"a\\"","pub":{"data":{"n":1.0}}}}'])
  t.same(text({ data, offset: 7 }), ['{"push":{"channel":"a\\"","pub":{"data":{"n":1.0},"offset":7}}}'])
  t.same(text({ data, offset: 0, info: Buffer.from(info) }), [
    `{"push":{"channel":"a\\"","pub":{"data":{"n":1.0},"info":${info}}}}`
  ])
  const tags = new Map([['k', '"v"']])
  t.same(text({ data, offset: 7, info: Buffer.from(info), tags }), [
    `{"push":{"channel":"a\\"","pub":{"data":{"n":1.0},"offset":7,"info":${info},"tags":{"k":"\\"v\\""}}}}`
  ])
  t.same(text({ data, offset: 7, tags, delta: Buffer.from('d') }), [
    '{"push":{"channel":"a\\"","pub":{"data":"d","offset":7,"tags":{"k":"\\"v\\""},"delta":true}}}'
  ])
})

t.test('a subscription with deltas gets what it missed as strings', async (t) => {
  const data = Buffer.from('{"n":1.0}')
  t.equal(
    result('subscribe', {
      ttl: undefined,
      position: undefined,
      recovery: 'done',
      publications: [{ data, offset: 3, delta: 'whole' }],
      delta: true,
      data: undefined
    }),
    '{"publications":[{"data":"{\\"n\\":1.0}","offset":3}],"was_recovering":true,"recovered":true,"delta":true}'
  )
})

t.test('a command that only confirms has an empty result', async (t) => {
  for (const name of ['unsubscribe', 'publish', 'ping', 'send'] as const) t.equal(result(name, {}), '{}')
})

t.test('a client over HTTP is told its session and its node', async (t) => {
  const bare = { client: 'c', version: 'v', ttl: undefined, ping: 1, data: undefined, subs: new Map() }
  t.equal(result('connect', bare), '{"client":"c","version":"v","ping":1,"pong":true}')
  t.equal(
    result('connect', { ...bare, session: 's"', node: 'n' }),
    '{"client":"c","version":"v","ping":1,"pong":true,"session":"s\\"","node":"n"}'
  )
})
