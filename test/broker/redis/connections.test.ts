import { setImmediate as nextTurn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { RedisConnections } from '../../../lib/broker/redis/connections.ts'
import { RedisKeys } from '../../../lib/broker/redis/keys.ts'
import { DEFAULT_TIMES } from '../../../lib/broker/redis/options.ts'
import type { ScriptedClient } from '../../../lib/broker/redis/scripts.ts'
import { pending } from '../../support/pending.ts'
import { fakeTimers } from '../../support/timers.ts'
import { FakeClient, said } from './fake-client.ts'

const UNAVAILABLE = { code: 'FST_RT_UNAVAILABLE' }
const UNKNOWN = { code: 'FST_RT_UNKNOWN_OUTCOME' }
const RECONNECT = 10
const CLOSE = 500
const PROBE = 1_000

const MASTER = 'role:master\r\nmaster_replid:abc123\r\n'

interface RigOptions {
  isCluster?: boolean
  maxPending?: number
  /** Makes a client what it is to be; the first is the one for commands, the second listens. */
  make?: (client: FakeClient, number: number) => void
  check?: (client: ScriptedClient) => Promise<void>
  /** Called in the turn in which messages may have been missed. */
  missed?: () => void
}

function makeConnections(options: RigOptions = {}) {
  const { isCluster = false, maxPending = 3, make, check = async () => {}, missed } = options
  const clients: FakeClient[] = []
  const told: unknown[] = []
  const connections = new RedisConnections({
    clients: {
      isCluster,
      database: 0,
      create: (node) => {
        const client = new FakeClient(isCluster && node === undefined)
        client.answers.info = () => MASTER
        make?.(client, clients.length)
        clients.push(client)
        return client.asRedis
      }
    },
    keys: new RedisKeys('p'),
    times: { ...DEFAULT_TIMES, reconnectDelay: [RECONNECT, RECONNECT], closeTimeout: CLOSE, probeInterval: PROBE },
    maxPending,
    check,
    message: (topic, message) => told.push(['message', topic, message.toString()]),
    state: (up, cause) => told.push(cause === undefined ? [up] : [up, cause.message]),
    shard: (server, up, cause) => told.push(up ? [server, up] : [server, up, cause?.message]),
    refused: (cause) => told.push(['refused', cause.message]),
    missed: () => {
      told.push('missed')
      missed?.()
    }
  })
  /** What was told since this was called last. */
  const news = () => told.splice(0)
  return { connections, clients, news }
}

function rig(t: Test, options?: RigOptions) {
  const { pass } = fakeTimers(t)
  const made = makeConnections(options)
  t.teardown(() => made.connections.close())
  return { ...made, pass }
}

async function started(t: Test, options?: RigOptions) {
  const made = rig(t, options)
  await made.connections.start(true)
  made.news()
  const [commands, subscriber] = made.clients as [FakeClient, FakeClient]
  return { ...made, commands, subscriber }
}

const refused = (client: FakeClient, error: Error) => {
  client.answers.connect = () => Promise.reject(error)
}
const refusedConnection = () => Object.assign(new Error('connect'), { code: 'ECONNREFUSED' })

t.test('up once both connections are, and not before', async (t) => {
  const connected = pending()
  const checked: unknown[] = []
  const { connections, clients, news } = rig(t, {
    make: (client, number) => {
      if (number === 1) client.answers.connect = () => connected.promise
    },
    check: async (client) => void checked.push(client)
  })
  const starting = connections.start(true)
  await nextTurn()
  t.equal(connections.up, false)
  t.strictSame(news(), [])
  connected.resolve()
  await starting
  t.equal(connections.up, true)
  t.strictSame(news(), [[true], 'missed'])
  const [commands, subscriber] = clients as [FakeClient, FakeClient]
  t.strictSame(checked, [commands])
  t.ok(commands.callsOf('defineCommand').includes('rtPublish'), 'with the scripts')
  t.match(subscriber.callsOf('subscribe'), [/^p:probe:[\w-]{12}:\{\}$/], 'the node listens to itself')
})

t.test('away at first: told once, although both are, and then what comes of it', async (t) => {
  const { connections, clients, news, pass } = rig(t, {
    make: (client, number) => {
      if (number < 2) refused(client, refusedConnection())
    }
  })
  const starting = connections.start(true)
  await nextTurn()
  t.strictSame(news(), [[false, 'Redis (commands): ECONNREFUSED']])
  await t.rejects(
    connections.commands.run(true, async () => 1),
    UNAVAILABLE
  )
  await pass(RECONNECT)
  await starting
  t.strictSame(news(), [[true], 'missed'])
  t.equal(clients.length, 4)
})

t.test('what nothing mends ends the start, with the other connection', async (t) => {
  for (const at of [0, 1]) {
    await t.test(at === 0 ? 'for commands' : 'to listen', async (t) => {
      const { connections, clients } = rig(t, {
        make: (client, number) => {
          if (number === at) refused(client, said('NOAUTH secret'))
        }
      })
      await t.rejects(connections.start(true), { code: 'FST_RT_BROKER', message: /NOAUTH \(it wants a password\)$/ })
      await nextTurn()
      t.equal(clients.length, 2)
      t.ok(clients.every(({ ended }) => ended))
      t.equal(connections.up, false)
    })
  }
})

t.test('a server is not used before it was tried out', async (t) => {
  const checked = pending()
  const { connections } = rig(t, { check: () => checked.promise })
  const starting = connections.start(true)
  await nextTurn()
  t.equal(connections.up, false)
  checked.reject(said("NOPERM this user has no permissions to run the 'eval' command"))
  await t.rejects(starting, { code: 'FST_RT_BROKER', message: /NOPERM/ })
})

t.test('closed before it could start', async (t) => {
  const { connections } = rig(t, { make: (client) => refused(client, refusedConnection()) })
  const starting = connections.start(true)
  await nextTurn()
  await connections.close()
  await t.rejects(starting, UNAVAILABLE)
})

t.test('each loss is told once, with the connection and no more than a word of why', async (t) => {
  const { connections, commands, subscriber, clients, news, pass } = await started(t)
  subscriber.end()
  commands.end()
  t.strictSame(news(), [[false, 'Redis (subscriber): closed']])
  t.equal(connections.up, false)
  await pass(RECONNECT)
  t.strictSame(news(), [[true], 'missed'])
  for (const [at, connection] of [
    [2, 'subscriber'],
    [3, 'commands']
  ] as const) {
    clients[at]?.end()
    await nextTurn()
    t.strictSame(news(), [[false, `Redis (${connection}): closed`], [true], 'missed'], 'either is enough')
  }
})

t.test('the server is tried out once; later connections write a little', async (t) => {
  let checks = 0
  const { commands, clients, pass, news } = await started(t, {
    check: async () => {
      checks++
    },
    make: (client, number) => {
      // CLIENT PAUSE, or a minority: connected, and takes no writes.
      if (number === 2) client.answers.set = () => Promise.reject(new Error('Command timed out'))
    }
  })
  t.strictSame(commands.callsOf('set'), [])
  commands.end()
  await nextTurn()
  t.match(clients[2]?.callsOf('set'), [/^p:probe:.* PX 1000$/])
  t.strictSame(news(), [[false, 'Redis (commands): closed']])
  await pass(RECONNECT)
  t.match(clients[3]?.callsOf('set'), [/^p:probe:/])
  t.strictSame(news(), [[true], 'missed'])
  t.equal(checks, 1)
})

t.test('a server that is no master is not used', async (t) => {
  const { connections, news, pass } = rig(t, {
    make: (client, number) => {
      if (number === 0) client.answers.info = () => 'role:slave\r\nmaster_replid:other\r\n'
      if (number === 2) client.answers.info = () => 'role:master\r\n'
    }
  })
  const starting = connections.start(true)
  await nextTurn()
  t.strictSame(news(), [[false, 'Redis (commands): NOT_MASTER']])
  await pass(RECONNECT)
  await starting
})

t.test('a command is answered, or its fate is told', async (t) => {
  const { connections } = await started(t)
  t.equal(await connections.commands.run(true, async () => 'answer'), 'answer')
  const refused = connections.commands.run(true, () => Promise.reject(said('OOM secret')))
  await t.rejects(refused, { code: 'FST_RT_BROKER', message: /OOM/ })
  t.equal(connections.up, true)
})

t.test('a server that is late is left at once, by the first of the commands that wait for it', async (t) => {
  const { connections, clients, news, pass } = await started(t)
  const late = new Error('Command timed out')
  const waiting = [true, false, false].map((writes) => connections.commands.run(writes, () => Promise.reject(late)))
  const fates = await Promise.all(waiting.map((each) => each.catch(({ code }: { code: string }) => code)))
  t.strictSame(fates, ['FST_RT_UNKNOWN_OUTCOME', 'FST_RT_UNAVAILABLE', 'FST_RT_UNAVAILABLE'])
  t.equal(connections.up, false)
  await t.rejects(
    connections.commands.run(true, async () => 'answer'),
    UNAVAILABLE
  )
  t.strictSame(news(), [[false, 'Redis (commands): timeout']])
  await pass(0)
  t.equal(clients.length, 3)
  t.equal(connections.up, true)
})

t.test('so many commands wait, and no more', async (t) => {
  const { connections } = await started(t, { maxPending: 2 })
  const answers = [pending(), pending()]
  const first = connections.commands.run(true, () => answers[0]?.promise as Promise<void>)
  const second = connections.commands.run(true, () => answers[1]?.promise as Promise<void>)
  const third = () => connections.commands.run(true, async () => {})
  await t.rejects(third(), UNAVAILABLE)
  answers[0]?.resolve()
  await first
  await third()
  answers[1]?.reject(new Error('Connection is closed.'))
  await t.rejects(second, UNKNOWN)
  await Promise.all([third(), third()])
})

t.test('a master that was demoted is left, by both connections', async (t) => {
  for (const word of ['READONLY', 'NOT_MASTER']) {
    await t.test(word, async (t) => {
      const { connections, commands, subscriber, clients, news } = await started(t)
      const error = word === 'READONLY' ? said('READONLY no') : Object.assign(new Error('no'), { code: word })
      await t.rejects(connections.commands.run(false, () => Promise.reject(error)))
      await nextTurn()
      await nextTurn()
      t.equal(clients.length, 4)
      t.ok(commands.ended && subscriber.ended)
      t.strictSame(news(), ['missed', 'missed'], 'their successors took over without a gap')
      // What the old connection still says is no reason to leave the new one.
      await t.rejects(connections.commands.run(false, () => Promise.reject(said('OOM'))))
      await nextTurn()
      t.equal(clients.length, 4)
    })
  }

  await t.test('an answer that comes when it has been left already changes nothing', async (t) => {
    const { connections, commands, clients } = await started(t)
    const answer = pending()
    const running = connections.commands.run(true, () => answer.promise)
    commands.end()
    await nextTurn()
    t.equal(clients.length, 3)
    answer.reject(said('READONLY no'))
    await t.rejects(running, UNAVAILABLE)
    await nextTurn()
    t.equal(clients.length, 3)
  })
})

t.test('commands of one turn leave in one write', async (t) => {
  const { connections, commands } = await started(t)
  const corked: number[] = []
  const look = async () => void corked.push(commands.stream.corked)
  await Promise.all([connections.commands.run(true, look), connections.commands.run(true, look)])
  t.strictSame(corked, [1, 1], 'corked once')
  await nextTurn()
  t.equal(commands.stream.corked, 0)
  await connections.commands.run(true, look)
  t.strictSame(corked, [1, 1, 1], 'and again in the next turn')
  await connections.close()
  t.equal(commands.stream.corked, 0, 'nothing is held back by a close')
})

t.test('messages go on from the connection in use, but for the node’s own', async (t) => {
  const prepared = pending()
  const { connections, subscriber, clients, news } = await started(t, {
    make: (client, number) => {
      if (number === 2) client.answers.subscribe = () => prepared.promise
    }
  })
  const own = subscriber.callsOf('subscribe')[0] as string
  const say = (client: FakeClient | undefined, topic: string) =>
    client?.emit('messageBuffer', Buffer.from(topic), Buffer.from('x'))
  await connections.subscriptions.add('p:{room}')
  say(subscriber, 'p:{room}')
  say(subscriber, own)
  t.strictSame(news(), [['message', 'p:{room}', 'x']])
  connections.subscriptions.replace()
  await nextTurn()
  const successor = clients[2]
  t.match(successor?.callsOf('subscribe'), [/p:\{room\}/], 'the successor listens already')
  say(successor, 'p:{room}')
  t.strictSame(news(), [], 'and its twin is heard')
  prepared.resolve()
  await nextTurn()
  t.strictSame(news(), ['missed'])
  say(subscriber, 'p:{room}')
  say(successor, 'p:{room}')
  t.strictSame(news(), [['message', 'p:{room}', 'x']], 'each once')
})

t.test('an unresponsive subscriber is replaced', async (t) => {
  const { clients, commands, subscriber, news, pass } = await started(t)
  await pass(PROBE * 1.1)
  const [topic, number] = commands.callsOf('publish')[0]?.split(' ') ?? []
  t.equal(topic, subscriber.callsOf('subscribe')[0])
  subscriber.emit('messageBuffer', Buffer.from(topic as string), Buffer.from(number as string))
  await pass(PROBE / 4)
  t.equal(clients.length, 2, 'it received the probe')
  await pass(PROBE * 1.1)
  for (let probe = 0; probe < 2; probe++) await pass(PROBE / 4)
  await nextTurn()
  t.equal(clients.length, 3)
  t.strictSame(news(), ['missed'])
  t.ok(subscriber.ended)
})

t.test('one that is gone is not probed', async (t) => {
  const { clients, commands, subscriber, pass } = await started(t, {
    make: (client, number) => {
      if (number > 1) refused(client, refusedConnection())
    }
  })
  subscriber.end()
  await pass(PROBE * 1.1)
  t.ok(clients.length > 2)
  t.strictSame(commands.callsOf('publish'), [])
})

for (const word of ['NOREPLICAS', 'OOM', 'MISCONF']) {
  t.test(`case 152: a server that takes no writes is not up, and is up again once it does: ${word}`, async (t) => {
    const { connections, commands, subscriber, news, pass } = await started(t)
    const topic = subscriber.callsOf('subscribe')[0] as string
    const probed = async () => {
      await pass(PROBE * 1.1)
      const number = commands.callsOf('publish').at(-1)?.split(' ')[1] as string
      subscriber.emit('messageBuffer', Buffer.from(topic), Buffer.from(number))
      await pass(PROBE / 4)
    }
    commands.answers.set = () => Promise.reject(said(`${word} no`))
    await probed()
    t.equal(connections.up, false)
    t.strictSame(news(), [[false, `Redis (commands): ${word}`]])
    t.equal(await connections.commands.run(true, async () => 'answer'), 'answer', 'what can be done is done')
    await probed()
    t.strictSame(news(), [])
    commands.answers.set = () => 'OK'
    await probed()
    t.equal(connections.up, true)
    t.strictSame(news(), [[true], 'missed'])
    await probed()
    t.strictSame(news(), [])
    t.notOk(subscriber.ended)
  })
}

t.test('case 152: a new connection is one that takes writes', async (t) => {
  const { connections, commands, subscriber, news, pass } = await started(t)
  commands.answers.set = () => Promise.reject(said('OOM no'))
  await pass(PROBE * 1.1)
  t.equal(connections.up, false)
  commands.end()
  await pass(RECONNECT)
  t.equal(connections.up, true)
  t.strictSame(news(), [[false, 'Redis (commands): OOM'], [true], 'missed'])
  t.notOk(subscriber.ended)
})

t.test('a probe whose write is answered by anything else is a probe that could not be sent', async (t) => {
  const { connections, commands, subscriber, clients, news, pass } = await started(t)
  commands.answers.set = () => Promise.reject(said('WRONGTYPE no'))
  for (let probes = 0; probes < 3; probes++) await pass(PROBE * 1.1)
  t.equal(connections.up, true)
  t.strictSame(news(), [])
  t.equal(clients.length, 2)
  t.notOk(subscriber.ended)
})

t.test('case 161: a password that stopped working is told of with each attempt', async (t) => {
  const { connections, clients, commands, news, pass } = await started(t, {
    make: (client, number) => {
      if (number === 2 || number === 3) refused(client, said('WRONGPASS secret'))
    }
  })
  const failure = () => connections.commands.run(true, async () => 1).catch((error: Error) => error)
  commands.end()
  t.notOk('cause' in Object(await failure()), 'not refused yet')
  await nextTurn()
  const cause = 'The broker refused: WRONGPASS (wrong user name or password)'
  t.match(await failure(), { ...UNAVAILABLE, cause: { code: 'FST_RT_BROKER', message: cause } })
  t.strictSame(news(), [
    [false, 'Redis (commands): closed'],
    ['refused', cause]
  ])
  await pass(RECONNECT)
  t.strictSame(news(), [['refused', cause]])
  await pass(RECONNECT)
  t.strictSame(news(), [[true], 'missed'])
  clients.at(-1)?.end()
  t.match(await failure(), UNAVAILABLE)
  t.notOk('cause' in Object(await failure()), 'the refusal is over')
})

t.test('case 160: a broker that only publishes has one connection, and probes nothing', async (t) => {
  const { connections, clients, news, pass } = rig(t)
  await connections.start(false)
  t.equal(connections.up, true)
  t.strictSame(news(), [[true], 'missed'])
  await pass(PROBE * 5)
  t.equal(clients.length, 1)
  t.strictSame(clients[0]?.callsOf('publish'), [])
  await t.rejects(
    connections.commands.run(true, () => Promise.reject(said('READONLY no'))),
    UNAVAILABLE
  )
  await nextTurn()
  t.equal(clients.length, 2, 'a master that was demoted is left')
})

t.test('case 136: pages of history have a connection of their own, once one was asked for', async (t) => {
  const { connections, commands, clients, news, pass } = await started(t, {
    make: (client, number) => {
      if (number === 3) refused(client, said('NOAUTH'))
    }
  })
  const asked: unknown[] = []
  const read = () => connections.read(async (client) => void asked.push(client))
  t.equal(clients.length, 2)
  await read()
  t.equal(asked[0], commands, 'until it is there')
  await nextTurn()
  t.equal(clients.length, 3)
  await read()
  t.equal(asked[1], clients[2])
  t.ok(clients[2]?.callsOf('defineCommand').includes('rtHistory'))

  // A server that stops answering there is left there alone.
  await t.rejects(
    connections.read(() => Promise.reject(new Error('Command timed out'))),
    UNAVAILABLE
  )
  t.equal(connections.up, true)
  t.equal(clients[2]?.ended, false)
  await nextTurn()
  t.equal(clients[2]?.ended, true)
  await read()
  t.equal(asked[2], commands)
  await pass(RECONNECT)
  await read()
  t.equal(asked[3], clients[4])
  t.strictSame(news(), [['refused', 'The broker refused: NOAUTH (it wants a password)']])

  // With another connection for commands it may be of another server.
  commands.end()
  await pass(RECONNECT)
  await nextTurn()
  t.equal(clients[4]?.ended, true)
})

t.test(
  'E106: a page that is read for the audit after a failover is not lost when the connection for reads is replaced',
  async (t) => {
    const answer = pending<string>()
    let ask = () => {}
    const { connections, commands, clients, pass } = await started(t, { missed: () => ask() })
    await connections.read(async () => {})
    await nextTurn()
    t.equal(clients.length, 3)
    const pages: Promise<string>[] = []
    const asked: unknown[] = []
    ask = () => {
      const page = connections.read((client) => {
        asked.push(client)
        return answer.promise
      })
      pages.push(page)
    }
    commands.end()
    await pass(RECONNECT)
    await nextTurn()
    await pass(RECONNECT)
    t.strictSame(asked, [clients[3]], 'over the new connection for commands')
    t.equal(clients[3]?.ended, false)
    answer.resolve('a page')
    t.strictSame(await Promise.all(pages), ['a page'])
    t.equal(clients[2]?.ended, true, 'the former connection may be of another server')
  }
)

t.test('case 136: what is refused for good there leaves the connection for commands', async (t) => {
  const { connections, commands, clients } = await started(t, {
    make: (client, number) => {
      if (number === 2) refused(client, said('NOAUTH'))
    }
  })
  const asked: unknown[] = []
  const read = () => connections.read(async (client) => void asked.push(client))
  await read()
  await nextTurn()
  await read()
  await nextTurn()
  await read()
  t.strictSame(asked, [commands, commands, clients[3]], 'and it is tried again')
})

t.test('a channel that comes while the subscriber is replaced is subscribed in the end', async (t) => {
  const { pass } = fakeTimers(t)
  // Whichever step of it that is: between the last look at what is wanted and the use of the client there are some.
  for (const isRefused of [false, true]) {
    for (let steps = 0; steps < 20; steps++) {
      const connected = pending()
      const make = (client: FakeClient, number: number) => {
        if (number !== 2) return
        client.answers.subscribe = async (...topics) => {
          if (isRefused && topics.includes('late')) throw new Error('no')
          return connected.promise
        }
      }
      const { connections, clients } = makeConnections({ make })
      await connections.start(true)
      const inUse = () => clients.filter(({ ended }) => !ended).at(-1)
      connections.subscriptions.replace()
      await nextTurn()
      connected.resolve()
      for (let step = 0; step < steps; step++) await Promise.resolve()
      const isAdded = await connections.subscriptions.add('late').then(
        () => true,
        () => false
      )
      await pass(RECONNECT)
      const topics = inUse()
        ?.callsOf('subscribe')
        .flatMap((call) => call.split(' '))
      // Where it was refused by the client that stays in use, whoever added it knows.
      if (isRefused) t.not(isAdded && inUse(), clients[2], `after ${steps} steps`)
      else t.ok(isAdded && topics?.includes('late'), `after ${steps} steps`)
      t.equal(connections.up, true)
      await connections.close()
    }
  }
})

t.test('closing waits for what was sent, for a time', async (t) => {
  await t.test('until it is answered', async (t) => {
    const { connections, commands, subscriber } = await started(t)
    const answers = [pending(), pending()]
    const running = answers.map(({ promise }) => connections.commands.run(true, () => promise))
    let isClosed = false
    const closing = connections.close().then(() => {
      isClosed = true
    })
    answers[0]?.resolve()
    await nextTurn()
    t.equal(isClosed, false)
    t.equal(connections.up, true)
    answers[1]?.resolve()
    await Promise.all([...running, closing])
    await nextTurn()
    t.ok(commands.ended && subscriber.ended)
    t.equal(connections.up, false)
  })

  await t.test('which may never be', async (t) => {
    const { connections, commands, pass } = await started(t)
    const answer = pending()
    const running = connections.commands.run(true, () => answer.promise)
    const closing = connections.close()
    await pass(CLOSE - 1)
    t.equal(commands.ended, false)
    await pass(1)
    await closing
    await nextTurn()
    t.equal(commands.ended, true)
    answer.resolve()
    await running
  })
})

t.test('case 151: in a cluster, the connection for commands says to whom there is to listen', async (t) => {
  const { connections, clients, commands, subscriber, news } = await started(t, { isCluster: true })
  const server = '10.0.0.1:1'
  t.strictSame(connections.shards, new Map([[server, true]]))
  t.match(subscriber.callsOf('ssubscribe'), [/^p:probe:[\w-]{12}:\{0\}$/], 'the node listens to itself')
  t.strictSame(commands.callsOf('info'), [], 'each server of a cluster that has slots is a master')
  subscriber.emit('smessageBuffer', Buffer.from('p:{room}'), Buffer.from('x'))
  t.strictSame(news(), [['message', 'p:{room}', 'x']])

  commands.status = 'end'
  commands.emit('-node')
  t.strictSame(news(), [
    [server, false, `Redis (${server}): closed`],
    [false, 'Redis (commands): closed']
  ])
  t.strictSame(connections.shards, new Map([[server, false]]))
  const command = () => t.fail('is not sent')
  await t.rejects(
    connections.commands.run(true, async () => command(), 'p:{room}'),
    UNAVAILABLE
  )
  await t.rejects(
    connections.read(async () => command(), 'p:{room}'),
    UNAVAILABLE
  )
  commands.status = 'ready'
  commands.emit('ready')
  t.strictSame(news(), [[server, true], [true]])
  t.equal(await connections.commands.run(true, async () => 1, 'p:{room}'), 1)

  subscriber.end()
  await nextTurn()
  t.match(news()[0], [server, false])
  await nextTurn()
  const before = clients.length
  commands.end()
  await nextTurn()
  await nextTurn()
  t.equal(connections.up, true)
  t.equal(clients.slice(before).flatMap((client) => client.callsOf('set')).length, 1, 'a new one writes a little')
  news()
  commands.slots[0] = []
  commands.emit('refresh')
  commands.emit('-node')
  t.strictSame(news(), [], 'the former says nothing any more')
})

t.test('case 151: a cluster that answers nobody is not up', async (t) => {
  const { connections, commands, news, pass } = await started(t, { isCluster: true })
  commands.answers.set = () => Promise.reject(said('CLUSTERDOWN The cluster is down'))
  await pass(PROBE * 1.1)
  t.strictSame(news(), [
    ['10.0.0.1:1', false, 'Redis (10.0.0.1:1): CLUSTERDOWN'],
    [false, 'Redis (commands): CLUSTERDOWN']
  ])
  t.equal(connections.up, false)
  commands.answers.set = () => 'OK'
  await pass(PROBE * 1.1)
  await pass(PROBE * 1.1)
  t.strictSame(news().slice(0, 3), [['10.0.0.1:1', true], [true], 'missed'])
})
