import { Cluster, Redis, type RedisOptions } from 'ioredis'
import t from 'tap'
import { loadDriver, redisClients } from '../../../lib/broker/redis/clients.ts'
import { DEFAULT_TIMES, type RedisBrokerOptions } from '../../../lib/broker/redis/options.ts'

/* ioredis itself, which connects to nothing here. */

const times = { ...DEFAULT_TIMES, commandTimeout: 1_234, connectTimeout: 567 }
const clientsFor = (redis: RedisBrokerOptions['redis']) => redisClients(redis, times, Redis)

function optionsFor(t: { teardown(fn: () => unknown): void }, redis: RedisBrokerOptions['redis']): RedisOptions {
  const client = clientsFor(redis).create() as Redis
  t.teardown(() => client.disconnect())
  return client.options
}

/** What every client must be like, whatever the application's own is: it lives once, and sends nothing twice. */
const OURS = {
  lazyConnect: true,
  retryStrategy: null,
  reconnectOnError: null,
  autoResubscribe: false,
  autoResendUnfulfilledCommands: false,
  enableOfflineQueue: false,
  enableAutoPipelining: false,
  enableReadyCheck: false,
  maxRetriesPerRequest: 0,
  commandTimeout: undefined,
  socketTimeout: undefined,
  connectTimeout: 567,
  keyPrefix: '',
  role: 'master',
  readOnly: false,
  monitor: false,
  stringNumbers: false,
  replyMapping: 'legacy'
} as const

// The opposite of each of them, as an application may well have it for its own commands.
const THEIRS: RedisOptions = {
  lazyConnect: false,
  retryStrategy: () => 1,
  reconnectOnError: () => true,
  autoResubscribe: true,
  autoResendUnfulfilledCommands: true,
  enableOfflineQueue: true,
  enableAutoPipelining: true,
  enableReadyCheck: true,
  maxRetriesPerRequest: null,
  commandTimeout: 1,
  socketTimeout: 1,
  connectTimeout: 1,
  role: 'slave',
  readOnly: true,
  monitor: true,
  stringNumbers: true
}

t.test('options of the application’s are kept where the broker doesn’t need its own', async (t) => {
  const options = optionsFor(t, { ...THEIRS, host: 'redis.example', port: 7_000, username: 'u', password: 'p', db: 3 })
  t.match(options, { ...OURS, host: 'redis.example', port: 7_000, username: 'u', password: 'p', db: 3 })
  t.equal((options as { sentinelRetryStrategy?: () => unknown }).sentinelRetryStrategy?.(), null)
})

t.test('an instance is copied, and left alone', async (t) => {
  const theirs = new Redis({ ...THEIRS, lazyConnect: true, host: 'redis.example', db: 2, tls: { servername: 'x' } })
  t.teardown(() => theirs.disconnect())
  const clients = clientsFor(theirs)
  t.match(clients, { isCluster: false, database: 2 })
  const options = optionsFor(t, theirs)
  t.match(options, { ...OURS, host: 'redis.example', db: 2, tls: { servername: 'x' } })
  t.equal(theirs.status, 'wait')
  t.equal(theirs.options.commandTimeout, 1)
})

t.test('an instance of this version makes the clients by itself; for anything else ioredis is loaded', async (t) => {
  const theirs = new Redis({ ...THEIRS, lazyConnect: true, host: 'redis.example', db: 2 })
  const cluster = new Cluster([{ host: '127.0.0.1', port: 1 }], { lazyConnect: true })
  t.teardown(() => [theirs, cluster].map((one) => one.disconnect()))
  t.equal(await loadDriver(theirs), undefined)
  t.equal(await loadDriver(cluster), undefined)
  const client = redisClients(theirs, times, undefined).create() as Redis
  t.teardown(() => client.disconnect())
  t.match(client.options, { ...OURS, host: 'redis.example', db: 2 })
  // Before version 6 there was no replyMapping.
  const { replyMapping: _, ...options } = theirs.options
  const old = { options, duplicate: () => t.fail('of another version'), defineCommand: () => undefined }
  for (const other of [old, 'redis://127.0.0.1', {}, null, undefined]) t.equal(await loadDriver(other), Redis)
})

t.test('a URL says where, who and which database, and no more', async (t) => {
  const url = 'rediss://user:p%40ss@redis.example:7000/4?commandTimeout=1&retryStrategy=y'
  t.match(optionsFor(t, url), {
    ...OURS,
    host: 'redis.example',
    port: 7_000,
    username: 'user',
    password: 'p@ss',
    db: 4
  })
  t.ok(optionsFor(t, url).tls)
  t.equal(clientsFor(url).database, 4)
  t.equal(clientsFor('redis://redis.example').database, 0)
})

t.test('each client is another, and not yet connected', async (t) => {
  const clients = clientsFor('redis://127.0.0.1:1')
  const [one, other] = [clients.create(), clients.create()]
  t.not(one, other)
  for (const client of [one, other]) {
    t.equal(client.status, 'wait')
    client.disconnect()
  }
})

t.test('each client asks another sentinel first', async (t) => {
  const sentinels = ['a', 'b', 'c'].map((host) => ({ host, port: 1 }))
  const clients = clientsFor({ sentinels, name: 'main', db: 5 })
  t.equal(clients.database, 5)
  const orders = Array.from({ length: 4 }, () => {
    const client = clients.create() as Redis
    client.disconnect()
    t.equal(client.options.name, 'main')
    return client.options.sentinels?.map(({ host }) => host).join('')
  })
  t.strictSame(orders, ['bca', 'cab', 'abc', 'bca'])
})

t.test('a cluster is copied without its subscribers, and sends nothing twice', async (t) => {
  const theirs = new Cluster([{ host: '127.0.0.1', port: 1 }], {
    lazyConnect: true,
    shardedSubscribers: true,
    enableOfflineQueue: false,
    enableReadyCheck: false,
    enableAutoPipelining: true,
    scaleReads: 'slave',
    retryDelayOnFailover: 100,
    redisOptions: { ...THEIRS, password: 'p' }
  })
  t.teardown(() => theirs.disconnect())
  const clients = clientsFor(theirs)
  t.match(clients, { isCluster: true, database: 0 })
  const client = clients.create() as Cluster
  t.teardown(() => client.disconnect())
  t.not(client, theirs)
  t.match(client.options, {
    lazyConnect: true,
    shardedSubscribers: false,
    enableOfflineQueue: true,
    enableReadyCheck: true,
    enableAutoPipelining: false,
    scaleReads: 'master',
    keyPrefix: '',
    retryDelayOnFailover: 0,
    retryDelayOnClusterDown: 0,
    clusterRetryStrategy: null
  })
  // A single node's connection may come later than the command for it, and one that is silent is left.
  const { lazyConnect: _, ...ofNodes } = { ...OURS, enableOfflineQueue: true, socketTimeout: 3 * times.commandTimeout }
  t.match(client.options.redisOptions, { ...ofNodes, password: 'p' })
  // What listens to one server is judged by its own progress.
  const node = new Redis({ ...client.options.redisOptions, host: 'redis.example', port: 7_000, lazyConnect: true })
  const listener = clients.create(node) as Redis
  t.teardown(() => [node, listener].map((one) => one.disconnect()))
  t.match(listener.options, { ...OURS, host: 'redis.example', port: 7_000, password: 'p' })
  t.equal(theirs.status, 'wait')
})

t.test('whatever else is refused at once', async (t) => {
  const refused = (message: RegExp) => ({ code: 'FST_RT_INVALID_OPTION', message })
  for (const url of ['localhost:6379', 'http://localhost', 'redis:', '']) {
    t.throws(() => clientsFor(url), refused(/a URL begins with redis:/), url)
  }
  for (const other of [5, true, null, undefined]) {
    t.throws(() => clientsFor(other as never), refused(/a URL, options of ioredis, or an instance/), `${other}`)
  }
  t.throws(() => clientsFor({ sentinels: [{ port: 1 }] }), refused(/name of master/), 'what ioredis itself refuses')
})

t.test('case 161: what ioredis or pub/sub would pass over is refused, with what to do', async (t) => {
  const refused = (option: string, message: RegExp) => ({
    code: 'FST_RT_INVALID_OPTION',
    message: new RegExp(`^Option ${option}: .*${message.source}`)
  })
  const made: (Redis | Cluster)[] = []
  const make = <Client extends Redis | Cluster>(client: Client) => {
    made.push(client)
    return client
  }
  t.teardown(() => made.map((client) => client.disconnect()))

  class OtherLibrary {
    options = {}
    duplicate() {}
  }
  for (const other of [new OtherLibrary(), new Map(), []]) {
    t.throws(() => clientsFor(other as never), refused('redis', /not a client of ioredis; give a client, or a URL/))
  }
  t.throws(() => clientsFor({ hosts: 'a' } as never), refused('redis.hosts', /does not know this option/))
  t.throws(() => clientsFor({ socket: { host: 'a' } } as never), refused('redis.socket', /does not know this option/))

  const database = refused('redis.db', /name the database by its number/)
  for (const db of ['1', -1, 1.5, Number.NaN]) t.throws(() => clientsFor({ db } as never), database, `${db}`)
  for (const url of [
    'redis://h/x',
    'redis://h/1.5',
    'redis://h/-1',
    'redis://h/1/2',
    'redis://u:p@h:1/cache?x=1',
    'redis://h?db=x'
  ]) {
    t.throws(() => clientsFor(url), database, url)
  }
  for (const url of ['redis://h', 'redis://h/', 'redis://h:1/0', 'redis://h/?x=/y'])
    t.equal(clientsFor(url).database, 0, url)

  const keyPrefix = refused('redis.keyPrefix', /leave it out, and use the option prefix/)
  t.throws(() => clientsFor({ keyPrefix: 'shop:' }), keyPrefix)
  t.throws(() => clientsFor('redis://h?keyPrefix=shop:'), keyPrefix)
  t.throws(() => clientsFor(make(new Redis({ keyPrefix: 'shop:', lazyConnect: true }))), keyPrefix)
  const nodes = [{ host: '127.0.0.1', port: 1 }]
  const sharded = { lazyConnect: true, shardedSubscribers: true }
  t.throws(() => clientsFor(make(new Cluster(nodes, { ...sharded, keyPrefix: 'shop:' }))), keyPrefix)
  const subscribers = refused('redis', /with shardedSubscribers: true/)
  t.throws(() => clientsFor(make(new Cluster(nodes, { lazyConnect: true }))), subscribers)
})
