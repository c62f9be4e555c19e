import { Redis } from 'ioredis'
import { RedisBroker } from '../../lib/broker/redis/redis-broker.ts'
import { HISTORY } from './server.ts'
import { type Inject, single } from './single.ts'
import { hashOf } from './subscriber.ts'
import type { Arena, Fault } from './trial.ts'

/* Networks that are there, and don't carry what they should. */

const halfOpen: Inject = async ({ pause }, _server, proxy) => {
  while (await pause(1500)) {
    proxy.halfOpen()
    // As long as it takes to notice, at most; new connections work.
    await pause(4500)
  }
  proxy.cut()
}

const partition =
  (way: 'to' | 'from'): Inject =>
  async ({ pause, random }, _server, proxy) => {
    while (await pause(2000)) {
      proxy.hold(way)
      await pause(1000 + 3000 * random())
      proxy.release()
    }
  }

// Bytes of one publication, and bytes a second between each node and Redis.
const LARGE = 8_000_000
const NARROW = 2_000_000

/** Another writer than the nodes puts what is larger than they would into a channel. */
const largePublication: Inject = async (arena, server, proxy) => {
  const { channels, prefix, pause } = arena
  const channel = channels[0] as string
  const data = { id: -1, padding: 'x'.repeat(LARGE) }
  const broker = new RedisBroker({ redis: server.url, prefix, times: { commandTimeout: 10_000 } }, Redis)
  await broker.start()
  proxy.bytesPerSecond = NARROW
  try {
    const { offset, epoch } = await broker.publish(channel, Buffer.from(JSON.stringify(data)), { history: HISTORY })
    arena.published({ id: -1, channel, hash: hashOf(data), outcome: 'ok', position: { offset, epoch } })
    while (await pause(200)) await noteReadiness(arena)
  } finally {
    proxy.bytesPerSecond = undefined
    await broker.close()
  }
}

async function noteReadiness({ nodes }: Arena): Promise<void> {
  for (const node of nodes) {
    const { ok } = await fetch(`${node.url}/ready`)
    if (!ok) node.faults.push('not ready, although Redis is there')
  }
}

export const NETWORK_FAULTS: readonly Fault[] = [
  single('half-open connections to Redis', true, halfOpen),
  single('partition: no data reaches Redis', true, partition('to')),
  single('partition: no data comes from Redis', true, partition('from')),
  {
    ...single('readers at 64 kbit/s', true, async ({ pause }) => void (await pause(60_000))),
    slowReaders: 64_000 / 8
  },
  single('a publication of 8 MB in Redis', false, largePublication)
]
