import type { ServerResponse } from 'node:http'
import { PassThrough } from 'node:stream'
import { test } from 'tap'
import { StreamWatcher } from '../../lib/dashboard/stream-watcher.ts'

const QUERY = { view: 'connections', order: 'age', descending: false, search: '' } as const

function rig() {
  const heads: unknown[] = []
  const stream = new PassThrough({ highWaterMark: 1 })
  const response = Object.assign(stream, { writeHead: (...head: unknown[]) => void heads.push(...head) })
  return { heads, stream, watcher: new StreamWatcher(response as unknown as ServerResponse, QUERY, { 'x-a': 'b' }) }
}

test('a response of lines', async (t) => {
  const { heads, stream, watcher } = rig()
  t.match(heads, [200, { 'x-a': 'b', 'content-type': /ndjson/, 'x-accel-buffering': 'no' }])
  t.equal(watcher.query, QUERY)
  watcher.send('{}')
  watcher.end()
  watcher.send('after the end')
  t.equal((await stream.toArray()).join(''), '{}\n')
})

test('a page that reads nothing is ended', async (t) => {
  const { stream, watcher } = rig()
  const line = 'x'.repeat(1024 * 1024)
  for (let times = 0; times < 3; times++) watcher.send(line)
  t.notOk(stream.destroyed)
  watcher.send(line)
  t.ok(stream.destroyed)
  watcher.send(line)
})
