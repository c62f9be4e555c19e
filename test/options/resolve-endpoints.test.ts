import t from 'tap'
import { resolveOptions } from '../../lib/options/resolve-options.ts'

const http = { stream: '/connection/http_stream', sse: '/connection/sse', emulation: '/emulation' }

t.test('the paths of the endpoints', async (t) => {
  const resolve = (channels: object) => {
    const { websocket, http, ...rest } = resolveOptions({ auth: false, channels }).channels
    t.notOk('url' in rest)
    return { websocket, http }
  }
  t.same(resolve({}), { websocket: '/connection/websocket', http })
  t.same(resolve({ url: '/live' }), { websocket: '/live', http })
  t.same(resolve({ url: '/live', websocket: '/live' }), { websocket: '/live', http })
  t.same(resolve({ websocket: '/live', http: false }), { websocket: '/live', http: false })
  t.same(resolve({ websocket: false, http: { sse: false } }), { websocket: false, http: { ...http, sse: false } })
  t.same(resolve({ http: { stream: false, sse: false } }), { websocket: '/connection/websocket', http: false })
})

t.test('wrong paths', async (t) => {
  const wrong: [object, RegExp][] = [
    [{ websocket: false, http: false }, /channels.websocket: leave one endpoint/],
    [{ url: '/a', websocket: '/b' }, /channels.url: it is an older name/],
    [{ websocket: true }, /channels.websocket: give a path like \/live, or false/],
    [{ http: { stream: 'x' } }, /channels.http.stream: give a path/],
    [{ http: { sse: 1 } }, /channels.http.sse: give a path/],
    [{ http: { emulation: false } }, /channels.http.emulation: give a path like \/live$/],
    [{ http: { sse: '/emulation' } }, /channels: give each endpoint a path of its own: \/emulation/]
  ]
  for (const [channels, message] of wrong) {
    t.throws(() => resolveOptions({ auth: false, channels } as never), { code: 'FST_RT_INVALID_OPTION', message })
  }
})
