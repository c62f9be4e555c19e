import t from 'tap'
import { Outgoing } from '../../lib/client/outgoing.ts'
import { clientRig, pass, settle, until } from './rig.ts'

type Keyed = { key: string; message: unknown }
const taken = ({ key }: Keyed) => ({ notice: { code: 'taken', key } })

t.test('messages sent while away wait, and go in order, each with a key of its own', async (t) => {
  const { start, nth } = await clientRig(t)
  const { client } = start()
  const sent = [1, 2, 3].map((message) => client.send({ message }))
  const connection = await nth(0)
  await settle()
  t.same(connection.received, [], 'not before the server has let the client in')
  connection.welcome({ queued: true })
  await until(() => connection.received.length === 3)
  const received = connection.received as Keyed[]
  t.same(
    received.map(({ message }) => message),
    [{ message: 1 }, { message: 2 }, { message: 3 }]
  )
  t.equal(new Set(received.map(({ key }) => key)).size, 3)
  for (const { key } of received) t.match(key, /^[\w-]{20,}$/)
  // One that is sent meanwhile goes behind them.
  const last = client.send('last')
  await until(() => connection.received.length === 4)
  connection.send(...received.map(taken), { notice: { code: 'taken', key: 'unknown' } })
  await Promise.all(sent)
  connection.send(taken(connection.received[3] as Keyed))
  await last
  await client.send('live')
  await until(() => connection.received.length === 5)
  t.equal(connection.received[4], 'live', 'with nothing before it, a message is plain')
})

t.test('what the server has not taken when the connection breaks is sent again, with its key', async (t) => {
  const { start, nth } = await clientRig(t)
  const { client } = start()
  const sent = [1, 2].map((message) => client.send(message))
  const first = await nth(0)
  first.welcome({ queued: true })
  await until(() => first.received.length === 2)
  first.send(taken(first.received[0] as Keyed))
  await sent[0]
  first.socket.terminate()
  await until(() => client.state === 'connecting')
  pass(500)
  const second = await nth(1)
  second.welcome({ queued: true })
  await until(() => second.received.length === 1)
  t.same(second.received, [first.received[1]])
  second.send(taken(second.received[0] as Keyed))
  await sent[1]
})

t.test('on a route that takes no keys they are plain', async (t) => {
  const { start, nth } = await clientRig(t)
  const { client } = start()
  const sent = ['a', 'b'].map((message) => client.send(message))
  const connection = await nth(0)
  connection.welcome({ queued: false })
  await Promise.all(sent)
  await until(() => connection.received.length === 2)
  t.same(connection.received, ['a', 'b'])
})

t.test('the queue is bounded: what does not fit rejects', async (t) => {
  const { start, nth } = await clientRig(t)
  const { client } = start({ queue: 2 })
  const fits = [client.send(1), client.request(2)]
  await t.rejects(client.send(3), { code: 'queue_full' })
  await t.rejects(client.request(3), { code: 'queue_full' })
  const connection = await nth(0)
  connection.welcome({ queued: false })
  await until(() => connection.received.length === 2)
  connection.send({ id: 1, reply: 'r' })
  t.same(await Promise.all(fits), [undefined, 'r'])

  const none = start({ queue: 0 })
  await t.rejects(none.client.send(1), { code: 'queue_full' })
  const other = await nth(1)
  other.welcome()
  await until(() => none.client.state === 'open')
  await none.client.send(1)
})

t.test('no more than 32 keyed messages are on their way', async (t) => {
  const { start, nth } = await clientRig(t)
  const { client } = start()
  const sent = Array.from({ length: 40 }, (_, i) => client.send(i))
  const connection = await nth(0)
  connection.welcome({ queued: true })
  await until(() => connection.received.length === 32)
  await settle()
  t.equal(connection.received.length, 32)
  for (let i = 0; i < 40; i++) {
    await until(() => connection.received.length > i)
    connection.send(taken(connection.received[i] as Keyed))
  }
  await Promise.all(sent)
  t.same(
    (connection.received as Keyed[]).map(({ message }) => message),
    Array.from({ length: 40 }, (_, i) => i)
  )
})

t.test('a server that is too busy gets them once more, after the time that it named', async (t) => {
  const { start, nth } = await clientRig(t)
  const { client } = start()
  const sent = ['a', 'b'].map((message) => client.send(message))
  const connection = await nth(0)
  connection.welcome({ queued: true })
  await until(() => connection.received.length === 2)
  const refused = { error: { code: 'rate_limited', message: 'Too many messages', retryAfter: 300 } }
  connection.send(taken(connection.received[0] as Keyed), refused, refused)
  await sent[0]
  await settle()
  void client.send('c')
  pass(299)
  await settle()
  t.equal(connection.received.length, 2)
  pass(1)
  await until(() => connection.received.length === 4)
  t.same(
    (connection.received as Keyed[]).map(({ message }) => message),
    ['a', 'b', 'b', 'c']
  )
  connection.send({ error: { code: 'rate_limited', message: 'no time named' } })
  await settle()
  pass(1_000)
  await until(() => connection.received.length === 6)
})

t.test('keys differ without randomness of the platform, too', async (t) => {
  const { crypto } = globalThis
  Object.defineProperty(globalThis, 'crypto', { value: undefined, configurable: true })
  t.teardown(() => Object.defineProperty(globalThis, 'crypto', { value: crypto, configurable: true }))
  const keys = [1, 2].map(() => {
    const outgoing = new Outgoing(1)
    const texts: string[] = []
    void outgoing.send('1')
    outgoing.use({ queued: true, send: (text: string) => texts.push(text) } as never)
    return JSON.parse(texts[0] as string).key as string
  })
  t.not(keys[0], keys[1])
  t.match(keys[0], /^[\w-]{10,}$/)
})
