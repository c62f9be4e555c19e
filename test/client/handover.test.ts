import t from 'tap'
import { clientRig, pass, settle, until } from './rig.ts'

/*
 * What the client does when its server drains: the new connection takes over before the old one ends.
 */

const publication = (offset: number, channel = 'a') => ({ channel, data: offset, offset, epoch: 'e' })
const draining = (reconnectAfter: number) => ({ notice: { code: 'draining', reconnectAfter } })
const subscribed = (offset: number, more = {}) => ({
  notice: { code: 'subscribed', channel: 'a', recovered: true, offset, epoch: 'e', ...more }
})
const offsetsOf = (values: unknown[]) => values.map((value) => (value as { offset: number }).offset)

t.test(
  'the new connection is open and resumed before the old one closes; nothing is lost, doubled or swapped',
  async (t) => {
    const { begin, nth, connections } = await clientRig(t)
    const { client, connection: old, events, valuesOf } = await begin()
    old.send(publication(1), publication(2), draining(3_000))
    await until(() => valuesOf('publication').length === 2)
    await settle()
    pass(2_999)
    await settle()
    t.equal(connections.length, 1, 'not before its time')
    pass(1)
    const next = await nth(1)
    t.same(next.since, { a: [2, 'e'] })
    next.welcome()
    await settle()
    old.send(publication(3), publication(4))
    await until(() => valuesOf('publication').length === 4)
    next.send(publication(3), publication(4), publication(5))
    await until(() => valuesOf('publication').length === 5)
    old.send(publication(5), publication(6))
    await until(() => valuesOf('publication').length === 6)
    t.equal(old.closed, undefined)
    next.send(subscribed(5), publication(6), publication(7))
    await until(() => old.closed)
    t.same(old.closed, { code: 1000 })
    await until(() => valuesOf('publication').length === 7)
    t.same(offsetsOf(valuesOf('publication')), [1, 2, 3, 4, 5, 6, 7])
    t.same(valuesOf('state'), ['open'], 'there was no gap')
    t.same(valuesOf('open'), [{ first: true }, { first: false }])
    t.same(valuesOf('gap'), [])
    t.equal(events.filter(([name]) => name === 'error').length, 0)
    t.equal(client.state, 'open')
    pass(5_000)
    await settle()
    t.equal(connections.length, 2)
  }
)

t.test('messages go to the new connection once the old one has read what was sent before', async (t) => {
  const { begin, nth } = await clientRig(t)
  const { client, connection: old } = await begin()
  old.send(draining(0))
  await settle()
  pass(0)
  const next = await nth(1)
  // It reads nothing, and so answers no close.
  old.socket.pause()
  await client.send('before')
  next.welcome({ queued: true })
  await settle()
  const after = client.send('after')
  await settle()
  t.same(next.received, [])
  old.socket.resume()
  await until(() => next.received.length === 1)
  t.same(old.received, ['before'])
  t.match(next.received, [{ key: String, message: 'after' }])
  next.send({ notice: { code: 'taken', key: (next.received[0] as { key: string }).key } })
  await after
})

t.test('an old connection that does not answer its close is waited for no longer than a second', async (t) => {
  const { begin, nth } = await clientRig(t)
  const { client, connection: old } = await begin()
  old.send(draining(0))
  await settle()
  pass(0)
  const next = await nth(1)
  old.socket.pause()
  next.welcome()
  await settle()
  void client.send('after')
  pass(999)
  await settle()
  t.same(next.received, [])
  pass(1)
  await until(() => next.received.length === 1)
  t.same(next.received, ['after'])
})

t.test('the old connection closes when its requests are answered', async (t) => {
  const { begin, nth } = await clientRig(t)
  const { client, connection: old } = await begin()
  const reply = client.request('slow')
  await until(() => old.received.length === 1)
  old.send(draining(0))
  await settle()
  pass(0)
  const next = await nth(1)
  next.welcome()
  await settle()
  t.equal(old.closed, undefined)
  old.send({ id: 1, reply: 'done' })
  t.equal(await reply, 'done')
  await until(() => old.closed)
  const other = client.request('quick')
  await until(() => next.received.length === 1)
  t.same(next.received, [{ id: 2, request: 'quick' }])
  next.send({ id: 2, reply: null })
  t.equal(await other, null)
})

t.test('publications without a position come from the connection in use only', async (t) => {
  const { begin, nth } = await clientRig(t)
  const { connection: old, valuesOf } = await begin()
  old.send(publication(1), draining(0))
  await until(() => valuesOf('publication').length === 1)
  pass(0)
  const next = await nth(1)
  next.welcome()
  next.send({ channel: 'plain', data: 'next, too early' })
  await settle()
  old.send({ channel: 'plain', data: 'old' })
  await until(() => valuesOf('publication').length === 2)
  old.socket.pause()
  next.send(subscribed(1), { channel: 'plain', data: 'next' })
  await until(() => valuesOf('publication').length === 3)
  t.same(valuesOf('publication').slice(1), [
    { channel: 'plain', data: 'old' },
    { channel: 'plain', data: 'next' }
  ])
})

t.test('an epoch that the new connection has seen is not taken back by the old one', async (t) => {
  const { begin, nth } = await clientRig(t)
  const { connection: old, valuesOf } = await begin()
  old.send(publication(7), draining(0))
  await until(() => valuesOf('publication').length === 1)
  pass(0)
  const next = await nth(1)
  next.welcome()
  next.send(publication(1, 'b'))
  next.send(subscribed(1, { recovered: false, epoch: 'f' }), { channel: 'a', data: 2, offset: 2, epoch: 'f' })
  await until(() => valuesOf('publication').length === 3)
  old.send(publication(8), 'last')
  await until(() => valuesOf('message').length === 1 || old.closed)
  t.same(valuesOf('publication').at(-1), { channel: 'a', data: 2, offset: 2, epoch: 'f' })
  t.same(valuesOf('gap'), [{ channel: 'a' }])
})

t.test('a server that is killed early: the client comes back when it was asked to', async (t) => {
  const { begin, nth, connections, handshakes, state } = await clientRig(t)
  const { client, connection } = await begin()
  connection.send(draining(8_000))
  await settle()
  connection.socket.terminate()
  await until(() => client.state === 'connecting')
  pass(7_999)
  await settle()
  t.equal(connections.length, 1)
  state.behaviour = 'refuse'
  pass(1)
  await until(() => handshakes.length === 2)
  await settle()
  state.behaviour = 'accept'
  pass(500)
  await nth(1)
})

t.test('a load balancer that has not noticed: attempts go on while the old connection serves', async (t) => {
  const { begin, nth, state, handshakes } = await clientRig(t)
  const { client, connection: old, valuesOf } = await begin()
  state.behaviour = 'refuse'
  old.send(draining(0))
  await settle()
  pass(0)
  await until(() => handshakes.length === 2)
  await settle()
  old.send(1)
  await until(() => valuesOf('message').length === 1)
  t.equal(client.state, 'open')
  state.behaviour = 'accept'
  pass(500)
  const next = await nth(1)
  next.welcome()
  await until(() => old.closed)
  t.same(valuesOf('state'), ['open'])
})

t.test(
  'a channel that does not resume holds up the handover for 5 s, or until the old connection is gone',
  async (t) => {
    const { begin, nth, connections } = await clientRig(t)
    const { connection: old, valuesOf } = await begin()
    old.send(publication(1), draining(0))
    await until(() => valuesOf('publication').length === 1)
    pass(0)
    const second = await nth(1)
    second.welcome()
    await settle()
    pass(4_999)
    await settle()
    t.equal(old.closed, undefined)
    pass(1)
    await until(() => old.closed)

    second.send(draining(0))
    await settle()
    pass(0)
    const third = await nth(2)
    third.welcome()
    await settle()
    second.socket.close(1012)
    await until(() => valuesOf('open').length === 3)
    t.same(valuesOf('state'), ['open'], 'the one that waited takes over at once')
    pass(30_000)
    await settle()
    t.equal(connections.length, 3, 'and nothing else is opened')
  }
)

t.test('a server that drains from the start is left for the next one', async (t) => {
  const { begin, nth } = await clientRig(t)
  const { connection: first } = await begin()
  first.send(draining(0))
  await settle()
  pass(0)
  const second = await nth(1)
  second.send(draining(2_000))
  second.welcome()
  await until(() => first.closed)
  pass(2_000)
  const third = await nth(2)
  third.welcome()
  await until(() => second.closed)
})

t.test('a new connection that is refused for good ends the client', async (t) => {
  const { begin, nth } = await clientRig(t)
  const { client, connection: old, valuesOf } = await begin()
  old.send(draining(0))
  await settle()
  pass(0)
  const next = await nth(1)
  next.socket.close(4403, 'forbidden')
  await until(() => client.state === 'closed')
  t.same(valuesOf('close'), [{ code: 4403, reason: 'forbidden' }])
  await until(() => old.closed)
})

t.test('the old connection is lost while the new one is being opened', async (t) => {
  const { begin, nth, connections } = await clientRig(t)
  const { client, connection: old, valuesOf } = await begin()
  old.send(draining(0))
  await settle()
  pass(0)
  const next = await nth(1)
  old.socket.close(1012)
  await until(() => client.state === 'connecting')
  next.welcome()
  await until(() => client.state === 'open')
  pass(30_000)
  await settle()
  t.equal(connections.length, 2, 'and no third one is opened')
  t.same(valuesOf('state'), ['open', 'connecting', 'open'])
})

t.test('positions: gaps, and channels that were left', async (t) => {
  const { begin, nth } = await clientRig(t)
  const { client, connection, valuesOf } = await begin()
  connection.send(
    subscribed(4, { recovered: false }),
    publication(5),
    // Said late, and behind what has come.
    subscribed(4, { recovered: false }),
    { notice: { code: 'subscribed', channel: 'no history', recovered: false, offset: 0, epoch: '' } },
    { notice: { code: 'subscribed', channel: 'left', recovered: false, offset: 1, epoch: 'x' } },
    { notice: { code: 'unsubscribed', channel: 'left' } },
    { notice: { code: 'insufficient_state', channel: 'b', recovered: false, offset: 9, epoch: 'y' } }
  )
  await until(() => valuesOf('gap').length === 1)
  t.same(valuesOf('gap'), [{ channel: 'b' }], 'a first subscription has no gap')
  connection.socket.terminate()
  await until(() => client.state === 'connecting')
  pass(500)
  const next = await nth(1)
  t.same(next.since, { b: [9, 'y'], a: [5, 'e'] })
  next.welcome()
  next.send(subscribed(20, { recovered: false, epoch: 'z' }))
  await until(() => valuesOf('gap').length === 2)
  t.same(valuesOf('gap')[1], { channel: 'a' })
})

/*
 * A gap was reported only for channels whose positions stood in the URL. About 60 fit; those beyond began anew without a
 * word.
 */
t.test(
  'a channel whose position did not fit into the URL has a gap, if anything was published meanwhile',
  async (t) => {
    const CHANNELS = 500
    const { begin, nth } = await clientRig(t)
    const { client, connection, valuesOf } = await begin()
    const names = Array.from({ length: CHANNELS }, (_, i) => `channels/${i}`)
    connection.send(...names.map((channel) => subscribed(0, { channel, recovered: false })))
    connection.send(...names.map((channel) => publication(1, channel)))
    await until(() => valuesOf('publication').length === CHANNELS)
    connection.socket.terminate()
    await until(() => client.state === 'connecting')
    pass(500)
    const next = await nth(1)
    const fit = new Set(Object.keys(next.since as object))
    t.ok(fit.size > 50 && fit.size < CHANNELS)
    next.welcome()
    // One in three has moved on.
    const moved = names.filter((_, i) => i % 3 === 0)
    for (const channel of names) {
      const offset = moved.includes(channel) ? 2 : 1
      next.send(subscribed(offset, { channel, recovered: fit.has(channel) }))
      if (fit.has(channel) && offset === 2) next.send(publication(2, channel))
      next.send(publication(offset + 1, channel))
    }
    await until(() => valuesOf('publication').length === 2 * CHANNELS + moved.filter((name) => fit.has(name)).length)
    t.same(
      valuesOf('gap'),
      moved.filter((channel) => !fit.has(channel)).map((channel) => ({ channel }))
    )
  }
)
