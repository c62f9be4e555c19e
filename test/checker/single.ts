import type { Test } from 'tap'
import { RedisServer, type RedisSettings } from '../support/redis-server.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import type { Arena, Fault } from './trial.ts'

export type Inject = (arena: Arena, server: RedisServer, proxy: TcpProxy) => Promise<void>

/** A fault on one Redis server, which nodes reach through a proxy. */
export function single(name: string, lossless: boolean, inject: Inject, settings: RedisSettings = {}): Fault {
  return {
    name,
    lossless,
    async prepare(t) {
      const server = await RedisServer.start(t, settings)
      const proxy = await TcpProxy.start(t, server.port)
      return { redis: proxy.url, inject: (arena) => inject(arena, server, proxy) }
    }
  }
}

/** A master, and a replica that reaches it through a proxy. */
export async function withReplica(t: Test) {
  const master = await RedisServer.start(t)
  const link = await TcpProxy.start(t, master.port)
  const replica = await RedisServer.start(t, { replicaof: `127.0.0.1 ${link.port}` })
  await replica.untilInfo(/master_link_status:up/)
  return { master, link, replica }
}
