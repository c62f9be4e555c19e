import t from 'tap'
import { clientRig, pass, settle, until } from './rig.ts'

t.test('a request has a reply, an error, or an end to the waiting', async (t) => {
  const { begin } = await clientRig(t)
  const { client, connection } = await begin()
  const [reply, error, late, short] = ['a', 'b', 'c', 'd'].map((data, index) =>
    client.request({ data }, index === 3 ? { timeout: 100 } : {})
  )
  await until(() => connection.received.length === 4)
  t.same(connection.received[0], { id: 1, request: { data: 'a' } })
  const refused = { code: 'invalid_message', message: 'no', issues: [1] }
  connection.send({ id: 2, error: refused }, { id: 1, reply: 'r' })
  t.equal(await reply, 'r')
  await t.rejects(error as Promise<unknown>, { ...refused })
  pass(100)
  await t.rejects(short as Promise<unknown>, { code: 'timeout' })
  pass(9_900)
  await t.rejects(late as Promise<unknown>, { code: 'timeout' })
  connection.send({ id: 3, reply: 'too late' }, 'end')
})

t.test('a request past the server’s rate rejects at once, with the time to wait', async (t) => {
  const { begin } = await clientRig(t)
  const { client, connection, valuesOf } = await begin()
  const refused = client.request(1)
  await until(() => connection.received.length === 1)
  connection.send({ id: 1, error: { code: 'rate_limited', message: 'Too many messages', retryAfter: 70 } })
  await t.rejects(refused, { code: 'rate_limited', retryAfter: 70 })
  t.same(valuesOf('error'), [], 'it has its own promise')
})

t.test('an error that is none of ours rejects all the same', async (t) => {
  const { begin } = await clientRig(t)
  const { client, connection } = await begin()
  const refused = client.request(1)
  await until(() => connection.received.length === 1)
  connection.send({ id: 1, error: null })
  await t.rejects(refused, Error)
})

t.test('one that waits for a connection is sent once there is one, within its time', async (t) => {
  const { start, nth } = await clientRig(t)
  const { client } = start()
  const short = t.rejects(client.request('short', { timeout: 50 }), { code: 'timeout' })
  const long = client.request('long')
  const connection = await nth(0)
  pass(50)
  await short
  connection.welcome()
  await until(() => connection.received.length === 1)
  t.same(connection.received, [{ id: 2, request: 'long' }], 'what is over is not asked any more')
  connection.send({ id: 2, reply: 1 })
  t.equal(await long, 1)
})

t.test('the connection is lost: it may have been done', async (t) => {
  const { begin } = await clientRig(t)
  const { client, connection } = await begin()
  const lost = t.rejects(client.request(1), { code: 'connection_lost' })
  await until(() => connection.received.length === 1)
  connection.socket.terminate()
  await lost
})

t.test('the server asks', async (t) => {
  const { begin, start, nth } = await clientRig(t)
  const answers: Record<string, () => unknown> = {
    value: () => ({ a: 1 }),
    later: async () => 'later',
    nothing: () => undefined,
    coded: () => {
      throw Object.assign(new Error('not now'), { code: 'busy' })
    },
    plain: async () => {
      throw new Error('inner')
    },
    odd: () => {
      throw null
    },
    unwritable: () => 1n
  }
  const { connection, valuesOf } = await begin({ respond: (data) => answers[data as string]?.() })
  const names = Object.keys(answers)
  connection.send(...names.map((request, id) => ({ id, request })))
  await until(() => connection.received.length === names.length)
  const replies = (connection.received as { id: number }[]).toSorted((a, b) => a.id - b.id)
  t.match(replies, [
    { id: 0, reply: { a: 1 } },
    { id: 1, reply: 'later' },
    { id: 2, reply: null },
    { id: 3, error: { code: 'busy', message: 'not now' } },
    { id: 4, error: { code: 'internal', message: 'inner' } },
    { id: 5, error: { code: 'internal' } },
    { id: 6, error: { code: 'internal' } }
  ])
  t.same(valuesOf('message'), [])

  const without = start()
  const other = await nth(1)
  other.send({ id: 1, request: 2 })
  await until(() => without.valuesOf('message').length === 1)
  t.same(without.valuesOf('message'), [{ id: 1, request: 2 }], 'without `respond` it is a message like any other')
})

t.test('an answer that comes after the end of the connection is dropped', async (t) => {
  const { begin } = await clientRig(t)
  let answer: (value: unknown) => void = () => undefined
  let asked = false
  const { client, connection } = await begin({
    respond: () => {
      asked = true
      return new Promise((resolve) => {
        answer = resolve
      })
    }
  })
  connection.send({ id: 1, request: 1 })
  await until(() => asked)
  connection.socket.terminate()
  await until(() => client.state === 'connecting')
  answer(1)
  await settle()
  t.same(connection.received, [])
})
