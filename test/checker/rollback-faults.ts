import { TcpProxy } from '../support/tcp-proxy.ts'
import { type Inject, single, withReplica } from './single.ts'
import type { Arena, Fault } from './trial.ts'

/* Redis forgets, or goes back, without anybody losing a connection by which it could be noticed. */

/** A master is made the replica of one that lags, and a master again, with its clients connected all the time. */
const rollback: Fault = {
  name: 'rollback with open connections',
  lossless: false,
  async prepare(t) {
    const { master, link, replica } = await withReplica(t)
    const proxy = await TcpProxy.start(t, master.port)
    return {
      redis: proxy.url,
      async inject({ pause }) {
        do {
          await link.eatReplies()
          await pause(1000)
          await replica.admin.replicaof('NO', 'ONE')
          await master.admin.replicaof('127.0.0.1', replica.port)
          await master.untilInfo(/master_link_status:up/)
          await master.admin.replicaof('NO', 'ONE')
          link.cut()
          await replica.admin.replicaof('127.0.0.1', link.port)
          await replica.untilInfo(/master_link_status:up/)
        } while (await pause(2500))
      }
    }
  }
}

/** Keys of a channel, without those of idempotency: the newest of those stay, as they do in a restored database. */
async function keysOf(arena: Arena, server: Parameters<Inject>[1], channel: string): Promise<string[]> {
  const keys = await server.admin.keys(`${arena.prefix}:{${channel}}:*`)
  return keys.filter((key) => !/:onces?$/.test(key))
}

const restore: Inject = async (arena, server) => {
  const { channels, pause } = arena
  for (let n = 0; await pause(500); n++) {
    const channel = channels[n % channels.length] as string
    const keys = await keysOf(arena, server, channel)
    const dumps = await Promise.all(keys.map((key) => server.admin.dumpBuffer(key)))
    await pause(1000)
    const restoring = server.admin.multi()
    for (const [at, key] of keys.entries()) {
      // Expired meanwhile, it has no dump.
      const dump = dumps[at]
      if (dump) restoring.restore(key, 600_000, dump, 'REPLACE')
    }
    await restoring.exec()
  }
}

// What is above this, beside what an empty server needs, is evicted: some hundred publications' worth.
const ROOM = 500_000

/** The server has too little memory for all, and throws out what was used least lately: of any kind. */
const evict: Inject = async ({ pause }, server) => {
  const used = /used_memory:(\d+)/.exec(await server.admin.info('memory'))?.[1]
  await server.admin.config('SET', 'maxmemory', Number(used) + ROOM)
  await pause(60_000)
  await server.admin.config('SET', 'maxmemory', 0)
}

/** As eviction does, of one kind of key at a time. */
const evictKinds: Inject = async (arena, server) => {
  const { channels, prefix, pause, random } = arena
  for (let n = 0; await pause(200); n++) {
    const channel = channels[Math.floor(random() * channels.length)] as string
    const kind = ['stream', 'meta', 'once'][n % 3]
    const keys = await server.admin.keys(`${prefix}:{${channel}}:${kind}`)
    if (keys.length > 0) await server.admin.unlink(...keys)
  }
}

/** Answers are lost, and what would tell a retry that it is one is gone before it comes. */
const forgetKeys: Inject = async ({ prefix, pause }, server, proxy) => {
  while (await pause(700)) {
    await Promise.race([proxy.eatReplies(/eval/i), pause(500)])
    await pause(30)
    const keys = await server.admin.keys(`${prefix}:*:once`)
    if (keys.length > 0) await server.admin.unlink(...keys)
    proxy.cut()
  }
}

export const ROLLBACK_FAULTS: readonly Fault[] = [
  rollback,
  single('RESTORE of a channel’s keys', false, restore),
  single('eviction by too little memory', false, evict, { 'maxmemory-policy': 'allkeys-lru' }),
  single('eviction of one kind of key at a time', false, evictKinds),
  single('idempotency keys evicted and replies eaten', false, forgetKeys)
]
