import { fork } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import { Crowd } from '../support/crowd.ts'

const CONNECTIONS = 200
const DELAY = 1_000
const WINDOW = 10_000

/*
 * The notices went out one by one, when each connection's turn to be closed came. A process that was ended before the
 * drain was over (fastify-cli waits 500 ms) had warned a few of its clients, and all others came back at once.
 */
t.test('case 167: a process that is ended early has warned everybody', async (t) => {
  const server = fork(new URL('early-exit-server.ts', import.meta.url), {
    env: { ...process.env, NODE_V8_COVERAGE: '' }
  })
  t.teardown(() => server.kill('SIGKILL'))
  const [{ port }] = (await once(server, 'message')) as [{ port: number }]
  const crowd = await Crowd.join(t, { url: `ws://127.0.0.1:${port}/live`, count: CONNECTIONS })
  const exited = once(server, 'exit')
  server.kill('SIGTERM')
  t.same(await exited, [1, null], 'the process did not wait')

  const members = await crowd.members
  const hints = members.flatMap(({ reconnectAfter }) => reconnectAfter ?? [])
  t.equal(hints.length, CONNECTIONS, 'every client was warned')
  t.same(members.map(({ fault }) => fault).filter(Boolean), [])
  t.ok(Math.min(...hints) >= DELAY, 'nobody is to come back before the load balancer has noticed')
  t.ok(Math.max(...hints) <= DELAY + WINDOW)
  const quarters = [0, 0, 0, 0]
  for (const hint of hints) {
    const quarter = Math.min(3, Math.floor(((hint - DELAY) / WINDOW) * 4))
    quarters[quarter] = (quarters[quarter] ?? 0) + 1
  }
  for (const count of quarters) t.ok(count >= CONNECTIONS / 5, `spread over the window: ${quarters}`)
})
