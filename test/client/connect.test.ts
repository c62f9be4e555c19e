import t from 'tap'
import { connect } from '../../lib/client/connect.ts'
import { clientRig, pass, settle, sleep, standStill, until } from './rig.ts'

t.test('it offers the token, and the positions that it has', async (t) => {
  const { start, nth } = await clientRig(t)
  const asked: unknown[] = []
  const { client, events } = start({
    token: async (about) => {
      asked.push(about)
      return 'a.b.c'
    }
  })
  t.equal(client.state, 'connecting')
  const connection = await nth(0)
  t.equal(connection.protocols, 'realtime.v1,bearer.a.b.c')
  t.same(connection.since, {})
  t.same(asked, [{ refused: false }])
  connection.welcome()
  await until(() => client.state === 'open')
  t.same(events, [
    ['state', 'open'],
    ['open', { first: true }]
  ])
})

t.test('without a WebSocket it throws at once, and says what to pass', async (t) => {
  const globals = globalThis as { WebSocket?: unknown }
  const { WebSocket } = globals
  globals.WebSocket = undefined
  t.teardown(() => {
    globals.WebSocket = WebSocket
  })
  t.throws(() => connect('ws://127.0.0.1/live'), {
    name: 'TypeError',
    message: 'There is no global WebSocket: pass { WebSocket }'
  })
})

t.test('messages of the application come as they are', async (t) => {
  const { begin } = await clientRig(t)
  const { connection, valuesOf } = await begin()
  const plain = [1, null, [], { id: 1, reply: 2 }, { id: 1, request: 2 }, { error: 'text' }, { ping: 1, pong: 2 }]
  connection.send(...plain, 'no JSON', { notice: {} }, { channel: 'a' })
  await until(() => valuesOf('message').length === 10)
  t.same(valuesOf('message'), [...plain, 'no JSON', { notice: {} }, { channel: 'a' }])
  connection.send(Buffer.from([1]), { error: { code: 'x', message: 'm' } }, { notice: { code: 'lagging', dropped: 1 } })
  await until(() => valuesOf('notice').length === 1)
  t.same(valuesOf('message').at(-1), Buffer.from([1]))
  t.same(valuesOf('error'), [{ code: 'x', message: 'm' }])
  t.same(valuesOf('notice'), [{ code: 'lagging', dropped: 1 }])
})

t.test('a flood is delivered whole and in order', async (t) => {
  const { begin } = await clientRig(t)
  const { connection, valuesOf } = await begin()
  const numbers = Array.from({ length: 5_000 }, (_, i) => i)
  connection.send(...numbers)
  await until(() => valuesOf('message').length === 5_000)
  t.strictSame(valuesOf('message'), numbers)
})

t.test('a listener that throws stops nothing, and one that was removed gets nothing', async (t) => {
  const { begin } = await clientRig(t)
  const { client, connection, valuesOf } = await begin()
  const off = client.on('message', () => {
    throw new Error('of the application')
  })
  connection.send(1)
  await until(() => valuesOf('message').length === 1)
  t.throws(() => pass(1), { message: 'of the application' }, 'the platform reports it')
  off()
  connection.send(2)
  await until(() => valuesOf('message').length === 2)
  pass(1)
})

t.test('a server that refuses: exponential backoff with full jitter', async (t) => {
  const { state, start, handshakes, nth } = await clientRig(t)
  state.behaviour = 'refuse'
  start()
  for (const [index, wait] of [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000].entries()) {
    await until(() => handshakes.length === index + 1, `handshake ${index}`)
    await settle()
    pass(wait - 1)
    await settle()
    t.equal(handshakes.length, index + 1, `not before ${wait}`)
    pass(1)
  }
  state.behaviour = 'accept'
  await until(() => handshakes.length === 8)
  await settle()
  pass(15_000)
  const first = await nth(0)
  first.welcome()
  await settle()
  pass(4_000)
  first.socket.close(1012)
  await until(() => first.closed)
  await settle()
  pass(14_999)
  await settle()
  t.equal(handshakes.length, 9, 'one that did not last does not count as the end of the failures')
  pass(1)
  const second = await nth(1)
  second.welcome()
  await settle()
  pass(5_000)
  second.socket.terminate()
  await settle()
  pass(500)
  await nth(2)
})

t.test('case 171: it survives a server that is away for a minute', async (t) => {
  const { state, begin, nth } = await clientRig(t)
  const { client, connection, events } = await begin()
  connection.send({ channel: 'a', data: 1, offset: 1, epoch: 'e' })
  await until(() => events.some(([name]) => name === 'publication'))
  state.behaviour = 'refuse'
  connection.socket.close(1012)
  await until(() => client.state === 'connecting')
  for (let second = 0; second < 60; second++) {
    pass(1_000)
    await settle()
  }
  t.equal(client.state, 'connecting')
  state.behaviour = 'accept'
  pass(30_000)
  const back = await nth(1)
  t.same(back.since, { a: [1, 'e'] })
  back.welcome()
  await until(() => client.state === 'open')
  t.same(events.at(-1), ['open', { first: false }])
})

t.test('a server that hangs is given up after 10 s, and not let in late', async (t) => {
  const { state, start, handshakes } = await clientRig(t)
  state.behaviour = 'hang'
  start()
  await until(() => handshakes.length === 1)
  pass(9_999)
  await settle()
  t.equal(handshakes.length, 1)
  pass(1)
  pass(500)
  await until(() => handshakes.length === 2)
})

t.test('a token callback that hangs or throws is a failed attempt', async (t) => {
  const { start, nth } = await clientRig(t)
  let calls = 0
  const { valuesOf } = start({
    timeout: 2_000,
    token: () => {
      calls++
      if (calls === 1) return new Promise<string>((resolve) => setTimeout(resolve, 3_000, 'late'))
      if (calls === 2) throw new Error('away')
      return 't'
    }
  })
  pass(2_000)
  pass(500)
  t.equal(calls, 2)
  pass(1_000)
  await settle()
  t.same(valuesOf('error'), [{ code: 'token', message: 'Error: away' }])
  pass(1_000)
  t.match(await nth(0), { protocols: 'realtime.v1,bearer.t' })
})

t.test(
  'a server without a greeting has let the client in after half a second, or with its first message',
  async (t) => {
    const { start, nth } = await clientRig(t)
    const { client } = start()
    await nth(0)
    await settle()
    t.equal(client.state, 'connecting')
    pass(500)
    t.equal(client.state, 'open')
    const other = start()
    const connection = await nth(1)
    connection.send('hello')
    await until(() => other.client.state === 'open')
  }
)

t.test('silence: no longer than the server said', async (t) => {
  const { begin, nth } = await clientRig(t)
  const { client, connection, valuesOf } = await begin({}, { ping: 20_000 })
  pass(30_000)
  connection.send({ ping: 1 }, 'still there')
  await until(() => valuesOf('message').length === 1)
  pass(31_999)
  t.equal(client.state, 'open')
  pass(1)
  t.equal(client.state, 'connecting', 'half open: nobody answers its close')
  pass(500)
  await nth(1)
})

t.test('silence: as the option says, or 40 s after a ping of a server that said nothing', async (t) => {
  const { begin, start, nth } = await clientRig(t)
  const { client } = await begin({ silence: 5_000 }, { ping: 60_000 })
  pass(4_999)
  t.equal(client.state, 'open')
  pass(1)
  t.equal(client.state, 'connecting')
  client.close()

  const other = start()
  const connection = await nth(1)
  connection.send({ ping: 1 })
  await until(() => other.client.state === 'open')
  pass(39_999)
  t.equal(other.client.state, 'open')
  pass(1)
  t.equal(other.client.state, 'connecting')
})

t.test('4401: it asks for a new token once', async (t) => {
  const { start, nth } = await clientRig(t)
  const asked: boolean[] = []
  const token = ({ refused }: { refused: boolean }) => {
    asked.push(refused)
    return 't'
  }
  const { client, valuesOf } = start({ token })
  const first = await nth(0)
  first.socket.close(4401, 'unauthorized')
  await until(() => first.closed)
  await settle()
  pass(1)
  const second = await nth(1)
  t.same(asked, [false, true], 'at once, and it says why')
  second.welcome()
  await until(() => client.state === 'open')
  pass(6_000)
  second.socket.close(4401, 'token expired')
  await until(() => client.state === 'connecting')
  pass(1)
  const third = await nth(2)
  third.socket.close(4401, 'unauthorized')
  await until(() => client.state === 'closed')
  t.same(asked, [false, true, true])
  t.same(valuesOf('close'), [{ code: 4401, reason: 'unauthorized' }])
})

t.test('4429: it waits longer', async (t) => {
  const { begin, handshakes, nth } = await clientRig(t)
  const { client, connection } = await begin()
  connection.socket.close(4429)
  await until(() => client.state === 'connecting')
  pass(44_999)
  await settle()
  t.equal(handshakes.length, 1)
  pass(1)
  await nth(1)

  const other = await begin({ backoff: { first: 100, max: 200 } })
  other.connection.socket.close(4429)
  await until(() => other.client.state === 'connecting')
  pass(299)
  await settle()
  t.equal(handshakes.length, 3)
  pass(1)
  await until(() => handshakes.length === 4)
})

t.test('a stop code ends it', async (t) => {
  for (const code of [1000, 1008, 4400, 4403, 4409]) {
    const { begin, handshakes } = await clientRig(t)
    const { client, connection, valuesOf } = await begin()
    const lost = t.rejects(client.request('question'), { code: 'connection_lost' })
    connection.socket.close(code, 'why')
    await until(() => client.state === 'closed')
    await lost
    t.same(valuesOf('close'), [{ code, reason: 'why' }])
    pass(120_000)
    await settle()
    t.equal(handshakes.length, 1)
    await t.rejects(client.send(1), { code: 'closed' })
    await t.rejects(client.request(1), { code: 'closed' })
  }
})

t.test('close() ends it, and whatever waits', async (t) => {
  const { begin, state, start } = await clientRig(t)
  const { client, connection, valuesOf } = await begin()
  const lost = t.rejects(client.request(1), { code: 'connection_lost' })
  client.close()
  client.close()
  await lost
  await until(() => connection.closed)
  t.same(connection.closed, { code: 1000 })
  t.equal(valuesOf('close').length, 1)

  state.behaviour = 'refuse'
  const other = start()
  const waiting = t.rejects(other.client.send(1), { code: 'closed' })
  await settle()
  other.client.close()
  await waiting
})

t.test('what cannot be written as JSON rejects', async (t) => {
  const { begin } = await clientRig(t)
  const { client, connection } = await begin()
  await t.rejects(client.send(undefined), TypeError)
  await t.rejects(client.send(1n), TypeError)
  await t.rejects(
    client.request(() => {}),
    TypeError
  )
  await client.send({ a: 1 })
  await until(() => connection.received.length === 1)
  t.same(connection.received, [{ a: 1 }])
})

t.test('addresses: relative ones and http in a page, and with a query', async (t) => {
  const seen: string[] = []
  class Noted {
    onopen = null
    onmessage = null
    onclose = null
    onerror = null
    constructor(url: string) {
      seen.push(url)
    }
    send() {}
    close() {}
  }
  standStill(t)
  const globals = globalThis as { location?: { href: string }; WebSocket?: unknown }
  globals.location = { href: 'https://example.com/app/page' }
  const before = globals.WebSocket
  globals.WebSocket = Noted
  t.teardown(() => {
    delete globals.location
    globals.WebSocket = before
  })
  const clients = ['/live', 'http://other/live?a=1', 'wss://x/y'].map((url) => connect(url))
  pass(1)
  await settle()
  t.same(seen, ['wss://example.com/live?since=e30', 'ws://other/live?a=1&since=e30', 'wss://x/y?since=e30'])
  for (const client of clients) client.close()
})

t.test('the network and the page: online, offline, pageshow, visibilitychange', async (t) => {
  const globals = globalThis as never as EventTarget & { document?: EventTarget & { visibilityState?: string } }
  const events = new EventTarget()
  const document: EventTarget & { visibilityState?: string } = new EventTarget()
  const before = [globals.addEventListener, globals.removeEventListener] as const
  let listeners = 0
  globals.addEventListener = (...args: Parameters<EventTarget['addEventListener']>) => {
    listeners++
    events.addEventListener(...args)
  }
  globals.removeEventListener = (...args: Parameters<EventTarget['removeEventListener']>) => {
    listeners--
    events.removeEventListener(...args)
  }
  globals.document = document
  t.teardown(() => {
    const [add, remove] = before
    Object.assign(globals, { addEventListener: add, removeEventListener: remove })
    delete globals.document
  })
  const { begin, nth, handshakes } = await clientRig(t)
  const { client, connection } = await begin({}, { ping: 25_000 })

  events.dispatchEvent(new Event('offline'))
  t.equal(client.state, 'connecting', 'a connection of a network that is gone is gone')
  events.dispatchEvent(new Event('online'))
  const second = await nth(1)
  t.equal(handshakes.length, 2, 'at once')
  second.welcome()
  await until(() => client.state === 'open')
  await until(() => connection.closed)

  second.socket.terminate()
  await until(() => client.state === 'connecting')
  document.visibilityState = 'hidden'
  document.dispatchEvent(new Event('visibilitychange'))
  await settle()
  t.equal(handshakes.length, 2)
  document.visibilityState = 'visible'
  document.dispatchEvent(new Event('visibilitychange'))
  const third = await nth(2)
  third.welcome()
  await until(() => client.state === 'open')

  third.socket.terminate()
  await until(() => client.state === 'connecting')
  events.dispatchEvent(new Event('pageshow'))
  events.dispatchEvent(new Event('pageshow'))
  const fourth = await nth(3)
  await settle()
  t.equal(handshakes.length, 4, 'once')
  fourth.welcome()
  await until(() => client.state === 'open')
  events.dispatchEvent(new Event('online'))
  t.equal(client.state, 'open', 'what is well stays')
  // Timers stand still while a page sleeps.
  sleep(60_000)
  events.dispatchEvent(new Event('pageshow'))
  t.equal(client.state, 'connecting', 'what was silent meanwhile is gone')
  client.close()
  t.equal(listeners, 0)
})
