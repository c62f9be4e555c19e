import { test } from 'tap'
import { chooseTarget, fill, UsageError } from '../../lib/load/target.ts'

const ROOM = '/ws/rooms/load-{run}-{n}'

test('the options decide, else the path', async (t) => {
  const cases: [url: string, choice: Parameters<typeof chooseTarget>[1], result: object][] = [
    [
      'ws://h:1',
      {},
      { protocol: 'channels', transport: 'websocket', origin: 'ws://h:1', path: '/connection/websocket', groups: 10 }
    ],
    ['https://h/', { channels: 3, transport: 'sse' }, { origin: 'wss://h', path: '/connection/sse', groups: 3 }],
    ['http://h', { transport: 'protobuf' }, { origin: 'ws://h', transport: 'protobuf', path: '/connection/websocket' }],
    ['ws://h/x/connection/http_stream?a=1', {}, { transport: 'http_stream', path: '/x/connection/http_stream?a=1' }],
    ['ws://h/?a=1', {}, { protocol: 'channels', path: '/connection/websocket?a=1' }],
    ['ws://h/own', { channels: 1, channelName: 'news' }, { protocol: 'channels', path: '/own', channelName: 'news' }],
    ['ws://h/ws/json', {}, { protocol: 'echo', groups: 100 }],
    ['ws://h/?a=1', { echo: true }, { protocol: 'echo', path: '/?a=1' }],
    ['ws://h/any', { echo: true }, { protocol: 'echo', path: '/any' }],
    ['ws://h/any', {}, { protocol: 'rooms', path: '/any', groups: 1 }],
    ['ws://h', { rooms: 5 }, { protocol: 'rooms', path: ROOM, groups: 5 }],
    ['ws://h/echo', { rooms: 1 }, { protocol: 'rooms', path: '/echo' }],
    ['ws://h/r/{n}?x={run}', { rooms: 2 }, { path: '/r/{n}?x={run}' }]
  ]
  for (const [url, choice, result] of cases) t.match(chooseTarget(url, choice, 100), result, url)
  t.match(chooseTarget('ws://h', {}, 3), { groups: 3 }, 'no channel is empty')
  t.equal(fill(ROOM, 'abcd', 7), '/ws/rooms/load-abcd-7')
})

test('what cannot be', async (t) => {
  const fails = (url: string, choice: Parameters<typeof chooseTarget>[1], message: RegExp) =>
    t.throws(() => chooseTarget(url, choice, 100), { constructor: UsageError, message })
  fails('nonsense', {}, /^'nonsense' is no URL of a server: write one such as ws:/)
  fails('ftp://h', {}, /is no URL of a server/)
  fails('ws://u@h', {}, /may not hold a user/)
  fails('ws://:p@h', {}, /may not hold a user/)
  fails('ws://h/a', { rooms: 2 }, /^the path of the URL needs \{n\} in it: .* 0 to 1$/)
  fails('ws://h', { channels: 2, channelName: 'a' }, /^--channel-name needs \{n\}/)
})
