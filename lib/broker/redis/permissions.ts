import type { Cluster, Redis } from 'ioredis'
import { errorWord } from './errors.ts'
import type { RedisClient } from './options.ts'

// Names that are tried until one belongs to a connected server. With this many names, a connected server is almost
// surely found.
const MAX_NAMES = 1_000

type RedisCommand = readonly [name: string, ...args: readonly (string | number)[]]

/** Every command that publishing needs, once, on keys `<base>:…` that the last command deletes. */
function publisherCommands(base: string, isCluster: boolean): RedisCommand[] {
  const [hash, set, stream] = [`${base}:hash`, `${base}:set`, `${base}:stream`]
  return [
    [isCluster ? 'SPUBLISH' : 'PUBLISH', base, ''],
    ['EVAL', "return ''", 0],
    // The server answers that it has no such script, or that the user may not run the command.
    ['EVALSHA', '0'.repeat(40), 0],
    ['TIME'],
    ['INFO', 'replication'],
    ['HSET', hash, 'f', 'v'],
    ['PEXPIRE', hash, 1_000],
    ['PTTL', hash],
    ['HMGET', hash, 'f'],
    ['HGET', hash, 'f'],
    ['HDEL', hash, 'f'],
    ['HLEN', hash],
    ['ZADD', set, 1, 'm'],
    ['PEXPIRE', set, 1_000],
    ['ZCARD', set],
    ['ZRANGE', set, -1, -1, 'WITHSCORES'],
    ['ZRANGEBYSCORE', set, '-inf', 0],
    ['ZREM', set, 'm'],
    ['XADD', stream, 'MAXLEN', 1, '1-0', 'd', '0'],
    ['PEXPIRE', stream, 1_000],
    ['XLEN', stream],
    ['XRANGE', stream, '-', '+', 'COUNT', 1],
    ['XREVRANGE', stream, '+', '-', 'COUNT', 1],
    ['XTRIM', stream, 'MINID', 2],
    ['EXISTS', stream],
    ['SET', `${base}:string`, '', 'PX', 1_000],
    ['DEL', hash, set, stream, `${base}:string`]
  ]
}

/** The other commands of a node with subscribers. */
function subscriberCommands(base: string): RedisCommand[] {
  const [hash, set] = [`${base}:hash`, `${base}:set`]
  return [
    ['HGETALL', hash],
    ['HVALS', hash],
    ['ZSCORE', set, 'm'],
    ['ZCOUNT', set, 0, 1]
  ]
}

/** A name that starts with the seed and whose server is connected. In a cluster, some servers may be unavailable. */
export function reachableName(seed: string, isReachable: (name: string) => boolean): string {
  let name = seed
  for (let n = 0; n < MAX_NAMES && !isReachable(name); n++) name = `${seed}${n}`
  return name
}

/**
 * Rejects with the server's own error if the user may not run a command that the broker needs. The commands are called
 * outside a script, because in a script Redis 7.0 does not name the refused command. Each server of a cluster has its
 * own users, so each is checked.
 */
export async function checkPermissions(client: RedisClient, base: string, onlyPublishes: boolean): Promise<void> {
  const { isCluster } = client
  const commands = [...publisherCommands(base, isCluster), ...(onlyPublishes ? [] : subscriberCommands(base))]
  // In a cluster, servers that are not connected are skipped.
  const servers = client.isCluster
    ? (client as Cluster).nodes('master').filter(({ status }) => status === 'ready')
    : [client as Redis]
  await Promise.all(servers.map((server) => checkServer(server, commands)))
}

const EXPECTED = new Set(['MOVED', 'NOSCRIPT'])

async function checkServer(server: Redis, commands: readonly RedisCommand[]): Promise<void> {
  const outcomes = await Promise.allSettled(commands.map(([name, ...args]) => server.call(name, ...args)))
  for (const outcome of outcomes) {
    // MOVED is expected: a server without the key's slot only answers it if the user may run the command.
    if (outcome.status === 'rejected' && !EXPECTED.has(errorWord(outcome.reason))) throw outcome.reason
  }
}
