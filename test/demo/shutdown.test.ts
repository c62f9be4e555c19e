import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { type Test, test } from 'tap'
import { root } from '../docs/pages.ts'

/** A program that signals itself once it listens. The demo's own process is tested in server.test.ts. */
async function end(t: Test, hook: string): Promise<{ code: number; logs: Record<string, unknown>[] }> {
  const file = join(
    t.testdir({
      'server.ts': `
import Fastify from 'fastify'
import { endOnSignals } from '${join(root, 'demo/shutdown.ts')}'
import realtime from '${join(root, 'lib/index.ts')}'

const app = Fastify({ logger: true })
await app.register(realtime, { auth: false, drain: { delay: 0, window: 0, timeout: 100 } })
app.addHook('onClose', ${hook})
endOnSignals(app, 100)
await app.listen({ host: '127.0.0.1', port: 0 })
process.kill(process.pid, 'SIGTERM')
`
    }),
    'server.ts'
  )
  const child = spawn(process.execPath, [...process.execArgv, file], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit']
  })
  t.teardown(() => child.kill('SIGKILL'))
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')])
  const lines = output.trim().split('\n')
  return { code, logs: lines.map((line) => JSON.parse(line)).filter(({ level }) => level > 30) }
}

test('a close that hangs is ended in time, with 1', async (t) => {
  const { code, logs } = await end(t, '() => new Promise(() => undefined)')
  t.equal(code, 1)
  t.match(logs, [{ level: 60, msg: 'the close took too long' }])
})

test('a close that fails ends with 1, and says why', async (t) => {
  const { code, logs } = await end(t, "async () => { throw new Error('the database is not there') }")
  t.equal(code, 1)
  t.match(logs.at(-1), { level: 60, msg: 'the close failed', err: { message: 'the database is not there' } })
})
