import { redisSlot } from '../../lib/broker/redis/slot.ts'
import { RedisServer, startCluster, until, untilClusterIsUp } from '../support/redis-server.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import type { Mutation } from './mutations.ts'
import { NETWORK_FAULTS } from './network-faults.ts'
import type { NodeProcess } from './node-process.ts'
import { ROLLBACK_FAULTS } from './rollback-faults.ts'
import { type Inject, single, withReplica } from './single.ts'
import { type Arena, type Fault, sleep } from './trial.ts'

function anyOf<T>(items: readonly T[], { random }: Arena): T {
  return items[Math.floor(random() * items.length)] as T
}

async function rollingRestart({ nodes, pause }: Arena): Promise<void> {
  do {
    for (const node of nodes) {
      const code = await node.end('SIGTERM')
      if (code !== 0) node.faults.push(`SIGTERM ended it with ${code}`)
      await node.start()
    }
  } while (await pause(500))
}

async function killNodes(arena: Arena): Promise<void> {
  do {
    const node = anyOf<NodeProcess>(arena.nodes, arena)
    await node.end('SIGKILL')
    await arena.pause(500)
    await node.start()
  } while (await arena.pause(1000))
}

async function stopNodes(arena: Arena): Promise<void> {
  do {
    const node = anyOf<NodeProcess>(arena.nodes, arena)
    node.stop()
    await arena.pause(5000)
    node.continue()
  } while (await arena.pause(3000))
}

const killRedis: Inject = async ({ pause, random }, server) => {
  do {
    await server.kill()
    await pause(300 + 1500 * random())
    await server.restart()
  } while (await pause(4000))
}

const stopRedis: Inject = async ({ pause, random }, server) => {
  do {
    server.stop()
    await pause(3000 + 2000 * random())
    server.continue()
  } while (await pause(4000))
}

const killPubsub: Inject = async ({ pause }, server) => {
  while (await pause(500)) await server.admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
}

const eatReplies: Inject = async ({ pause }, _server, proxy) => {
  while (await pause(700)) {
    // A node that has just connected again has said nothing to be eaten yet.
    await Promise.race([proxy.eatReplies(/eval/i), sleep(500)])
    await sleep(30)
    proxy.cut()
  }
}

const flushScripts: Inject = async ({ pause }, server) => {
  while (await pause(300)) await server.admin.script('FLUSH')
}

/** What makes a client send its commands again, or to another place. */
const hurry: Inject = async ({ pause }, server, proxy) => {
  for (let n = 0; await pause(300); n++) {
    await server.admin.script('FLUSH')
    if (n % 4 === 3) proxy.cut()
  }
}

const flushAll: Inject = async ({ pause }, server) => {
  while (await pause(2000)) await server.admin.flushall()
}

const dropClients: Inject = async ({ pause, clients, random }) => {
  while (await pause(20)) clients[Math.floor(random() * clients.length)]?.drop()
}

/** One failover by Sentinel: the master is killed, and comes back as a replica. */
function sentinelFailover(name: string, lags: boolean): Fault {
  return {
    name,
    lossless: false,
    async prepare(t) {
      const { master, link, replica } = await withReplica(t)
      const sentinel = await RedisServer.sentinel(t, 'main', master)
      await until(async () => ((await sentinel.admin.call('SENTINEL', 'REPLICAS', 'main')) as unknown[]).length === 1)
      return {
        redis: { sentinels: [{ host: '127.0.0.1', port: sentinel.port }], name: 'main' },
        async inject({ pause }) {
          await pause(1000)
          if (lags) {
            await link.eatReplies()
            await pause(1000)
          }
          await master.kill()
          await replica.untilInfo(/role:master/)
          await pause(5000)
          await master.restart()
          await pause(60_000)
        }
      }
    }
  }
}

/** A replica that lags takes over at once, by hand: what an orchestrator does. */
const laggingFailover: Fault = {
  name: 'failover by hand to a lagging replica',
  lossless: false,
  async prepare(t) {
    const { master, link, replica } = await withReplica(t)
    const proxy = await TcpProxy.start(t, master.port)
    return {
      redis: proxy.url,
      async inject({ pause }) {
        await link.eatReplies()
        await pause(1000)
        await master.kill()
        await replica.admin.replicaof('NO', 'ONE')
        proxy.redirect(replica.port)
        await pause(60_000)
      }
    }
  }
}

const clusterFailover: Fault = {
  name: 'Cluster failover',
  lossless: false,
  async prepare(t) {
    const masters = await startCluster(t)
    const [master, other] = masters as [RedisServer, RedisServer]
    const replica = await RedisServer.start(t, {
      'cluster-enabled': 'yes',
      'cluster-node-timeout': 2000,
      'cluster-port': 0
    })
    await replica.admin.call('CLUSTER', 'MEET', '127.0.0.1', other.port)
    const id = await master.admin.cluster('MYID')
    await until(async () => `${await replica.admin.cluster('NODES')}`.includes(`${id}`))
    await replica.admin.call('CLUSTER', 'REPLICATE', `${id}`)
    await replica.untilInfo(/master_link_status:up/)
    return {
      redis: clusterOf([...masters, replica]),
      async inject({ pause }) {
        await pause(1000)
        await master.kill()
        await until(async () => /role:master/.test(await replica.admin.info('replication')))
        await pause(6000)
        await master.restart()
        await pause(60_000)
      }
    }
  }
}

/** One master of a cluster dies, and comes back empty, again and again. Nobody takes its place meanwhile. */
const masterDies: Fault = {
  name: 'one of three masters dies',
  lossless: false,
  async prepare(t) {
    const masters = await startCluster(t, { 'cluster-require-full-coverage': 'no' })
    const lost = new Set<string>()
    return {
      redis: clusterOf(masters),
      spares: (channel) => !lost.has(channel),
      async inject(arena) {
        const { pause, prefix, channels } = arena
        const master = anyOf(masters, arena)
        const isLost = (channel: string) => ownerOf(masters, redisSlot(`${prefix}:{${channel}}`)) === master
        for (const channel of channels.filter(isLost)) lost.add(channel)
        do {
          await master.kill()
          await pause(2500)
          await master.restart()
          await untilClusterIsUp(masters)
        } while (await pause(1000))
      }
    }
  }
}

const slotMigration: Fault = {
  name: 'Cluster slot migration',
  lossless: false,
  async prepare(t) {
    const nodes = await startCluster(t)
    return {
      redis: clusterOf(nodes),
      async inject({ pause, prefix, channels, random }) {
        let moved = 0
        const owners = new Map<number, RedisServer>()
        while (await pause(1500)) {
          const slot = redisSlot(`${prefix}:{${channels[moved++ % channels.length]}}`)
          const from = owners.get(slot) ?? ownerOf(nodes, slot)
          const others = nodes.filter((node) => node !== from)
          const to = others[Math.floor(random() * others.length)] as RedisServer
          await moveSlot(nodes, slot, from, to)
          owners.set(slot, to)
        }
      }
    }
  }
}

function clusterOf(nodes: readonly RedisServer[]) {
  return { cluster: nodes.map(({ port }) => ({ host: '127.0.0.1', port })) }
}

/** The server that `startCluster` gave a slot to. */
function ownerOf(nodes: readonly RedisServer[], slot: number): RedisServer {
  return nodes.findLast((_, at) => slot >= Math.floor((at * 16_384) / nodes.length)) as RedisServer
}

async function moveSlot(
  nodes: readonly RedisServer[],
  slot: number,
  from: RedisServer,
  to: RedisServer
): Promise<void> {
  const [fromId, toId] = await Promise.all([from, to].map((node) => node.admin.cluster('MYID')))
  await to.admin.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', `${fromId}`)
  await from.admin.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', `${toId}`)
  for (;;) {
    const keys = (await from.admin.call('CLUSTER', 'GETKEYSINSLOT', slot, 100)) as string[]
    if (keys.length === 0) break
    await from.admin.call('MIGRATE', '127.0.0.1', to.port, '', 0, 5000, 'KEYS', ...keys)
  }
  for (const node of [to, from, ...nodes]) await node.admin.call('CLUSTER', 'SETSLOT', slot, 'NODE', `${toId}`)
}

const LOSSY: Mutation = {
  file: 'lib/broker/redis/redis-broker.ts',
  find: 'const envelope = readEnvelope(message)',
  replace: 'if (Math.random() < 0.02) return; const envelope = readEnvelope(message)'
}
/** Publications that a publisher makes without waiting. */
const ROW = 50
const AOF = { appendonly: 'yes', appendfsync: 'always' }

export const FAULTS: readonly Fault[] = [
  single('nothing', true, async ({ pause }) => void (await pause(60_000))),
  single('clients lose their connections', true, dropClients),
  single('rolling SIGTERM restart of all nodes', true, rollingRestart),
  single('SIGKILL of a node', true, killNodes),
  single('SIGSTOP of a node', true, stopNodes),
  single('Redis SIGKILL and restart with AOF', false, killRedis, AOF),
  single('Redis SIGKILL and restart without AOF', false, killRedis),
  single('SIGSTOP of Redis', true, stopRedis),
  sentinelFailover('Sentinel failover, healthy replica', false),
  sentinelFailover('Sentinel failover, lagging replica', true),
  laggingFailover,
  clusterFailover,
  masterDies,
  slotMigration,
  single('CLIENT KILL TYPE pubsub every 500 ms', true, killPubsub),
  { ...single('publications lost on the way', true, async ({ pause }) => void (await pause(60_000))), mutation: LOSSY },
  single('replies eaten', true, eatReplies),
  single('SCRIPT FLUSH', true, flushScripts),
  single('FLUSHALL', false, flushAll),
  { ...single('publishers that do not wait', true, hurry), row: ROW },
  { ...slotMigration, name: 'publishers that do not wait during a Cluster slot migration', row: ROW },
  ...ROLLBACK_FAULTS,
  ...NETWORK_FAULTS
]

/** The fault of that name, or those whose name has one of these texts in it, apart by commas. Throws if there is none. */
export function faultsNamed(texts: string): Fault[] {
  const exact = FAULTS.filter(({ name }) => name === texts)
  if (exact.length > 0) return exact
  const wanted = texts.split(',').map((text) => text.trim())
  const unknown = wanted.find((text) => !FAULTS.some(({ name }) => name.includes(text)))
  if (unknown !== undefined) {
    throw new Error(`There is no fault ${unknown}. There are:\n${FAULTS.map(({ name }) => name).join('\n')}`)
  }
  return FAULTS.filter(({ name }) => wanted.some((text) => name.includes(text)))
}

export function faultNamed(name: string): Fault {
  return faultsNamed(name)[0] as Fault
}
