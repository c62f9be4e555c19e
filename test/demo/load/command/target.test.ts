import t from 'tap'
import { chooseTarget, fill, type TargetChoice, TargetError } from '../../../../demo/load/command/target.ts'

const HOST = 'ws://127.0.0.1:3000'

function choose(choice: Partial<TargetChoice>) {
  return chooseTarget({
    url: HOST,
    channels: undefined,
    rooms: undefined,
    echo: false,
    channelName: undefined,
    defaultChannels: 10,
    ...choice
  })
}

t.test('what is spoken, by the options and the path', async (t) => {
  const cases: [Partial<TargetChoice>, string, string, number][] = [
    [{}, 'channels', '/connection/websocket', 10],
    [{ channels: 3 }, 'channels', '/connection/websocket', 3],
    [{ channels: 3, url: `${HOST}/realtime` }, 'channels', '/realtime', 3],
    [{ rooms: 4 }, 'rooms', '/ws/rooms/load-{run}-{n}', 4],
    [{ rooms: 4, url: `${HOST}/boards/{n}?a=1` }, 'rooms', '/boards/{n}?a=1', 4],
    [{ rooms: 1, url: `${HOST}/boards/tea` }, 'rooms', '/boards/tea', 1],
    [{ url: `${HOST}/ws/rooms/tea` }, 'rooms', '/ws/rooms/tea', 1],
    [{ url: `${HOST}/ws/echo` }, 'echo', '/ws/echo', 0],
    [{ url: `${HOST}/ws/json` }, 'echo', '/ws/json', 0],
    [{ url: `${HOST}/mirror`, echo: true }, 'echo', '/mirror', 0]
  ]
  for (const [choice, protocol, path, groups] of cases) {
    t.match(choose(choice), { protocol, path, groups }, JSON.stringify(choice))
  }
})

t.test('the scheme is that of WebSocket', async (t) => {
  t.equal(choose({ url: 'https://example.com/a#b', channels: 1 }).url.href, 'wss://example.com/a')
  t.equal(choose({ url: 'http://example.com', channels: 1 }).url.href, 'ws://example.com/')
})

t.test('what contradicts itself is refused', async (t) => {
  const wrong: [Partial<TargetChoice>, RegExp][] = [
    [{ url: 'ftp://a' }, /^--url must be a URL/],
    [{ url: 'ws://ada:secret@a' }, /^--url may not hold a user or a password/],
    [{ channels: 1, rooms: 1 }, /exclude each other/],
    [{ echo: true }, /^--echo needs a path/],
    [{ rooms: 2, url: `${HOST}/boards/tea` }, /^--rooms 2 needs a \{n\}/],
    [{ url: `${HOST}/boards/{n}` }, /say with --rooms how many/],
    [{ channelName: 'tea', channels: 2 }, /^--channel-name needs a \{n\}/],
    [{ channelName: 'tea', rooms: 2 }, /^--channel-name is for the channel protocol/]
  ]
  for (const [choice, message] of wrong) {
    t.throws(() => choose(choice), TargetError)
    t.throws(() => choose(choice), { message }, JSON.stringify(choice))
  }
  t.match(choose({ channelName: 'tea', channels: 1 }), { channelName: 'tea' })
})

t.test('templates', async (t) => {
  t.equal(fill('a-{run}-{n}-{n}', 'x', 3), 'a-x-3-3')
})
