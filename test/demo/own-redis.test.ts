import { existsSync, statSync } from 'node:fs'
import { Redis } from 'ioredis'
import { type Test, test } from 'tap'
import { DemoProcess } from '../support/demo.ts'
import { RedisServer, until } from '../support/redis-server.ts'

interface Started {
  readonly demo: DemoProcess
  /** Its process id. */
  readonly redis: number
  /** Where it keeps its files. */
  readonly directory: string
}

async function start(t: Test): Promise<Started> {
  const demo = await DemoProcess.start(t, {}, undefined, ['--workers', '1'])
  await demo.message('all workers listen')
  const line = await demo.message('started a Redis for this demo')
  const { redis, url } = line as unknown as { redis: number; url: string }
  const admin = new Redis(url.slice('unix:'.length))
  const [, directory] = (await admin.config('GET', 'dir')) as [string, string]
  admin.disconnect()
  return { demo, redis, directory }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

test('workers have a Redis of their own, which ends with them and leaves nothing behind', async (t) => {
  const { demo, redis, directory } = await start(t)
  t.ok(isRunning(redis) && existsSync(directory))
  const ready = await fetch(`${demo.address}/ready`)
  t.same(await ready.json(), { ready: true, draining: false })
  t.equal((await demo.end()).code, 0)
  t.notOk(isRunning(redis))
  t.notOk(existsSync(directory))
  t.same(demo.noise, [])
})

test('their Redis is open to this user only: no port, and a socket in a directory of its own', async (t) => {
  const { demo, directory } = await start(t)
  const { url } = (await demo.message('started a Redis for this demo')) as unknown as { url: string }
  t.equal(url, `unix:${directory}/redis.sock`)
  const admin = new Redis(url.slice('unix:'.length))
  t.same(await admin.config('GET', 'port'), ['port', '0'])
  admin.disconnect()
  t.equal(statSync(directory).mode & 0o077, 0)
  t.equal((await demo.end()).code, 0)
})

test('Ctrl-C, which reaches all of them at once, drains as SIGTERM does', async (t) => {
  const { demo, redis } = await start(t)
  const { pid: worker } = await demo.line(({ msg }) => msg?.startsWith('Server listening') === true)
  process.kill(worker as number, 'SIGINT')
  t.equal((await demo.end('SIGINT')).code, 0)
  t.match(await demo.message('drained'), { pid: worker })
  t.equal(
    demo.logs.find(({ msg }) => msg?.startsWith('second signal')),
    undefined
  )
  t.notOk(isRunning(redis))
})

test('it also ends where the primary process is killed', async (t) => {
  const { demo, redis, directory } = await start(t)
  await demo.kill()
  await until(() => !isRunning(redis) && !existsSync(directory))
  t.notOk(isRunning(redis))
})

test('it is started again where it dies of itself', async (t) => {
  const { demo, redis } = await start(t)
  process.kill(redis, 'SIGKILL')
  await demo.message('the Redis of this demo died: starting it again')
  await until(async () => (await fetch(`${demo.address}/ready`)).status === 200)
  t.equal((await demo.end()).code, 0)
})

test('a Redis that was given is nobody’s to kill', async (t) => {
  const given = await RedisServer.start(t)
  const demo = await DemoProcess.start(t, { REDIS_URL: given.url }, undefined, ['--workers', '1'])
  t.equal(
    demo.logs.find(({ msg }) => msg === 'started a Redis for this demo'),
    undefined
  )
  const headers = {
    authorization: `Bearer ${await demo.token('ada', await demo.adminKey())}`,
    origin: demo.address,
    'content-type': 'application/json'
  }
  const state = await (await fetch(`${demo.address}/api/break`, { headers })).json()
  t.match(state, { workers: 1, running: null, refusals: { restart: null, kill: null, redis: /REDIS_URL/, cut: null } })
  const body = JSON.stringify({ action: 'redis' })
  const refused = await fetch(`${demo.address}/api/break`, { method: 'POST', headers, body })
  t.equal(refused.status, 409)
  t.equal(await given.admin.ping(), 'PONG')
})
