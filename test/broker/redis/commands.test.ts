import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import { bytesRead, RedisCommands } from '../../../lib/broker/redis/commands.ts'
import type { RedisLinkOptions } from '../../../lib/broker/redis/link.ts'
import { pending } from '../../support/pending.ts'
import { FakeClient } from './fake-client.ts'

/* What it does with the broker's other connections is tested in connections.test.ts. */

function rig(client: FakeClient, commandTimeout: number) {
  const link: RedisLinkOptions = {
    create: () => client.asRedis,
    prepare: async () => {},
    adopt: () => {},
    lost: () => {},
    failed: () => {},
    isFatal: () => false,
    attemptTimeout: 1_000,
    reconnectDelay: [60_000, 60_000]
  }
  const isReachable = (key: string) => key !== 'away'
  return new RedisCommands({
    ...link,
    isCluster: false,
    commandTimeout,
    maxPending: 10,
    isReachable,
    demoted: () => {}
  })
}

t.test('case 136: a connection on which something comes in is kept, and one that is silent is left', async (t) => {
  // As a connection would: a deadline alone keeps no process alive.
  const alive = setInterval(() => undefined, 60_000)
  t.teardown(() => clearInterval(alive))
  const client = new FakeClient()
  const stream = Object.assign(client.stream, { bytesRead: 0 })
  const commands = rig(client, 40)
  await commands.start()
  const answer = pending<string>()
  const large = commands.run(false, () => answer.promise)
  const end = performance.now() + 300
  while (performance.now() < end) {
    stream.bytesRead += 65_536
    await nextTurn()
  }
  t.equal(commands.client, client.asRedis, 'after many times its time')
  answer.resolve('large')
  t.equal(await large, 'large')
  await t.rejects(
    commands.run(false, () => pending().promise),
    { code: 'FST_RT_UNAVAILABLE' }
  )
  t.equal(commands.client, undefined)
  await commands.close(0)
})

t.test('a command for a server that is away is not sent', async (t) => {
  const commands = rig(new FakeClient(), 1_000)
  await commands.start()
  t.equal(await commands.run(true, async () => 1, 'here'), 1)
  await t.rejects(
    commands.run(true, async () => t.fail('it was sent'), 'away'),
    { code: 'FST_RT_UNAVAILABLE' }
  )
  await commands.close(0)
})

t.test('what has come in is known of one connection, not of a cluster', async (t) => {
  const client = new FakeClient()
  t.equal(bytesRead(undefined), 0)
  t.equal(bytesRead(client.asRedis), 0)
  Object.assign(client.stream, { bytesRead: 7 })
  t.equal(bytesRead(client.asRedis), 7)
  const cluster = new FakeClient(true)
  Object.assign(cluster.stream, { bytesRead: 7 })
  t.equal(bytesRead(cluster.asRedis), 0)
})
