import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'

/*
 * Case 146. A connection kept its request, the response, and the bytes that its handshake came in, with the token: as
 * much as the client chose to send.
 */

const server = fileURLToPath(new URL('../support/memory-server.ts', import.meta.url))
const typescript = new URL('../../scripts/typescript.js', import.meta.url).href

t.test('case 146: a connection keeps nothing of its handshake', async (t) => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', `--import=${typescript}`, server])
  const { alive, watched, bytes } = JSON.parse(stdout)
  t.same(watched, { '/messages': 4, '/raw': 4, '/connection/websocket': 2 })
  t.same(alive, { '/messages': 0, '/raw': 0, '/connection/websocket': 0 }, 'neither request nor response nor reply')
  for (const [path, { few, large, many }] of Object.entries(bytes as Record<string, Record<string, number>>)) {
    t.ok((large as number) - (few as number) < 1_024, `${path}: 13 KB of headers: ${large} to ${few}`)
    t.ok((many as number) - (few as number) < 1_024, `${path}: 900 headers: ${many} to ${few}`)
  }
})
