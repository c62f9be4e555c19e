import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import Fastify from 'fastify'
import { test } from 'tap'
import { pack, sendPacked } from '../../demo/packed.ts'

test('a packed file: the smallest form that a browser takes, and nothing if it has it', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  const text = 'a board, a board, a board'.repeat(50)
  const file = pack(text, 'text/plain; charset=utf-8')
  app.get('/', (request, reply) => sendPacked(request, reply, file))
  const get = (headers: Record<string, string>) => app.inject({ url: '/', headers })
  const [plain, gzip, brotli, refused] = await Promise.all(
    ['', 'gzip, deflate', 'gzip, deflate, br', 'br;q=0, gzip'].map((accepted) => get({ 'accept-encoding': accepted }))
  )
  t.same([plain?.headers['content-encoding'], plain?.body], [undefined, text])
  t.same([gzip?.headers['content-encoding'], String(gunzipSync(gzip?.rawPayload as Buffer))], ['gzip', text])
  t.same(
    [brotli?.headers['content-encoding'], String(brotliDecompressSync(brotli?.rawPayload as Buffer))],
    ['br', text]
  )
  t.equal(refused?.headers['content-encoding'], 'gzip')
  t.match(plain?.headers, { vary: 'accept-encoding', 'content-type': 'text/plain; charset=utf-8', etag: file.etag })
  const again = await get({ 'if-none-match': file.etag })
  t.same([again.statusCode, again.body], [304, ''])
})
