import { EventEmitter } from 'node:events'
import type { Cluster } from 'ioredis'
import t, { type Test } from 'tap'
import { RedisServers } from '../../../lib/broker/redis/servers.ts'
import { redisSlot } from '../../../lib/broker/redis/slot.ts'
import { fakeTimers } from '../../support/timers.ts'

/* What ioredis tells of a real cluster: cluster.test.ts. */

const RETRY = 1_000
const MIDDLE = 8_192

class FakeNode extends EventEmitter {
  readonly options: { host: string; port: number }
  status = 'wait'
  connects = 0

  constructor(port: number) {
    super()
    this.options = { host: '10.0.0.1', port }
  }

  async connect(): Promise<void> {
    this.connects++
    this.status = 'connecting'
    throw new Error('Connection is closed.')
  }

  become(status: string): void {
    this.status = status
    this.emit(status)
  }
}

class FakeCluster extends EventEmitter {
  readonly slots: string[][] = []
  readonly #nodes: FakeNode[]
  refreshes = 0

  constructor(nodes: FakeNode[]) {
    super()
    this.#nodes = nodes
  }

  nodes(): FakeNode[] {
    return this.#nodes
  }

  refreshSlotsCache(done?: () => void): void {
    this.refreshes++
    done?.()
  }

  give(first: number, end: number, owner: string): void {
    for (let slot = first; slot < end; slot++) this.slots[slot] = [owner]
  }
}

/** Two servers that have half of the slots each. */
function rig(t: Test) {
  const { pass } = fakeTimers(t)
  const nodes = [new FakeNode(1), new FakeNode(2)] as [FakeNode, FakeNode]
  const cluster = new FakeCluster(nodes)
  cluster.give(0, MIDDLE, '10.0.0.1:1')
  cluster.give(MIDDLE, 16_384, '10.0.0.1:2')
  const told: string[] = []
  const servers = new RedisServers(cluster as unknown as Cluster, {
    retry: RETRY,
    moved: () => told.push('moved'),
    changed: () => told.push('changed')
  })
  const news = () => told.splice(0)
  return { cluster, nodes, servers, news, pass }
}

t.test('each server is connected to before a command is for it', async (t) => {
  const { nodes, servers, news } = rig(t)
  t.strictSame([...servers.names], ['10.0.0.1:1', '10.0.0.1:2'])
  t.strictSame(
    nodes.map(({ connects }) => connects),
    [1, 1]
  )
  const tags = [...servers.names].map((name) => servers.tagOf(name) as string)
  t.strictSame(
    tags.map((tag) => servers.ownerOf(tag)),
    [...servers.names]
  )
  t.equal(servers.tagOf('10.0.0.1:3'), undefined)
  t.equal(servers.reachableTag(), undefined)
  t.strictSame(tags.map(servers.isReachable.bind(servers)), [false, false])
  nodes[1].become('ready')
  t.strictSame(news(), ['changed'])
  t.strictSame(tags.map(servers.isReachable.bind(servers)), [false, true])
  t.equal(servers.reachableTag(), tags[1])
  t.equal(servers.nodeOf('10.0.0.1:2'), nodes[1])
})

t.test('it waits for an attempt to connect to each server, for a limited time', async (t) => {
  await t.test('one cannot be connected to', async (t) => {
    const { nodes, servers } = rig(t)
    nodes[0].become('ready')
    const attempted = servers.attempted(100)
    nodes[1].become('end')
    await attempted
    await servers.attempted(100)
    t.equal(servers.isConnected('10.0.0.1:2'), false)
  })
  await t.test('one says nothing', async (t) => {
    const { nodes, servers, pass } = rig(t)
    let isAttempted = false
    const attempted = servers.attempted(100).then(() => {
      isAttempted = true
    })
    nodes[0].become('ready')
    await pass(99)
    t.equal(isAttempted, false)
    await pass(1)
    await attempted
    t.equal(isAttempted, true)
  })
})

t.test('a server that is away is tried again, until the client has ended', async (t) => {
  const { cluster, nodes, servers, news, pass } = rig(t)
  for (const node of nodes) node.become('ready')
  news()
  nodes[1].become('end')
  cluster.emit('-node')
  cluster.emit('-node')
  t.strictSame(news(), ['changed', 'changed'])
  await pass(RETRY)
  t.equal(cluster.refreshes, 1)
  await pass(RETRY)
  t.equal(cluster.refreshes, 2, 'there was no answer')
  const again = new FakeNode(2)
  cluster.emit('+node', again)
  cluster.emit('refresh')
  t.equal(again.connects, 1)
  again.become('ready')
  t.equal(servers.isConnected('10.0.0.1:2'), true)
  t.strictSame(news(), ['changed'], 'its slots are its own as before')
  await pass(RETRY)
  await pass(RETRY)
  t.equal(cluster.refreshes, 3, 'all are connected')
  cluster.emit('-node')
  cluster.emit('end')
  cluster.emit('-node')
  await pass(RETRY)
  t.equal(cluster.refreshes, 3)
})

t.test('slots get another server, or none', async (t) => {
  const { cluster, nodes, servers, news } = rig(t)
  const promoted = new FakeNode(3)
  cluster.emit('+node', promoted)
  t.equal(promoted.connects, 0, 'a replica is not connected to')
  cluster.give(MIDDLE, 16_384, '10.0.0.1:3')
  nodes[1].become('end')
  cluster.emit('refresh')
  t.strictSame(news(), ['moved'])
  t.strictSame([...servers.names], ['10.0.0.1:1', '10.0.0.1:3'])
  t.equal(promoted.connects, 1)
  t.equal(servers.nodeOf('10.0.0.1:2'), undefined, 'what is gone is forgotten')

  const room = 'p:{room}'
  cluster.slots[redisSlot(room)] = ['10.0.0.1:4']
  cluster.emit('refresh')
  t.equal(servers.ownerOf(room), undefined)
  t.equal(servers.isReachable(room), true, 'Redis says that nobody has it')
  delete cluster.slots[redisSlot(room)]
  cluster.emit('refresh')
  t.equal(servers.ownerOf(room), undefined)
  await servers.refresh()
  t.equal(cluster.refreshes, 1)
})
