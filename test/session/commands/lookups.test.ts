import t from 'tap'
import { ERROR, forbidden } from '../../../lib/protocol/channel-errors.ts'
import { ADA, type Client, sessionRig } from '../session-rig.ts'

const numbers = (count: number) => Array.from({ length: count }, (_, n) => n + 1)

async function subscribed(client: Client, channel: string): Promise<Client> {
  await client.call({ subscribe: { channel } })
  return client
}

interface HistoryAnswer {
  history?: { publications: { data: unknown; offset: number }[]; offset: number; epoch: string }
}

t.test('history, a page at a time', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('rooms/:room', { history: { size: 2_000, ttl: 60_000 } })
  const { epoch } = await rig.publish('rooms/1', ...numbers(1_200))
  const client = await subscribed(await rig.client(), 'rooms/1')
  const page = async (query: object) => {
    // The rest after a large answer is over.
    await client.session.lookups.run(async () => undefined)
    const { history } = (await client.call({ history: { channel: 'rooms/1', ...query } })) as HistoryAnswer
    t.match(history, { offset: 1_200, epoch })
    const offsets = history?.publications.map(({ offset }) => offset) ?? []
    return [offsets.length, offsets[0], offsets.at(-1)]
  }
  t.same(await page({}), [0, undefined, undefined], 'the position alone')
  t.same(await page({ limit: 3 }), [3, 1, 3])
  t.same(await page({ limit: -1 }), [1_000, 1, 1_000], 'all there is, up to a thousand')
  t.same(await page({ limit: 1_100 }), [1_000, 1, 1_000])
  t.same(await page({ limit: 2, since: { offset: 5, epoch } }), [2, 6, 7])
  t.same(await page({ limit: 2, since: { offset: 5 } }), [2, 6, 7], 'of whatever epoch')
  t.same(await page({ limit: 2, reverse: true }), [2, 1_200, 1_199])
  t.same(await page({ limit: 9, since: { offset: 3, epoch }, reverse: true }), [2, 2, 1])
})

t.test('what is asked of another epoch, or since no offset, can’t be had', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('a', { history: true })
  await rig.publish('a', 1)
  const client = await subscribed(await rig.client(), 'a')
  for (const since of [{ offset: 0, epoch: 'other' }, { offset: -1 }, { offset: 1.5 }]) {
    t.same(await client.call({ history: { channel: 'a', limit: 1, since } }), { error: ERROR.unrecoverablePosition })
  }
})

t.test('a page holds what fits, and one publication at least', async (t) => {
  const rig = await sessionRig(t, { limits: { buffered: { soft: 1_000, hard: 2_500 } } })
  rig.channel('large', { history: true })
  const text = 'x'.repeat(998)
  await rig.publish('large', text, text, text, 'y'.repeat(5_000))
  const client = await subscribed(await rig.client(), 'large')
  const offsets = async (query: object) => {
    const { history } = (await client.call({ history: { channel: 'large', limit: 9, ...query } })) as HistoryAnswer
    return history?.publications.map(({ offset }) => offset)
  }
  t.same(await offsets({}), [1, 2])
  t.same(await offsets({ since: { offset: 2 } }), [3])
  t.same(await offsets({ since: { offset: 3 } }), [4], 'or a client would ask for it for ever')
})

t.test('who is on a channel', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('rooms/:room', { presenceTtl: 30_000, onSubscribe: () => ({ info: 'seat' }) })
  const [ada, again, bob] = [
    await rig.client(),
    await rig.client(),
    await rig.client({ user: { sub: 'bob', info: { nick: 'B' } } })
  ]
  for (const client of [ada, again, bob]) await subscribed(client, 'rooms/1')
  t.same(await ada.call({ presence: { channel: 'rooms/1' } }), {
    presence: {
      presence: {
        c1: { user: 'ada', client: 'c1', chan_info: 'seat' },
        c2: { user: 'ada', client: 'c2', chan_info: 'seat' },
        c3: { user: 'bob', client: 'c3', conn_info: { nick: 'B' }, chan_info: 'seat' }
      }
    }
  })
  t.same(await ada.call({ presence_stats: { channel: 'rooms/1' } }), {
    presence_stats: { num_clients: 3, num_users: 2 }
  })
  await bob.call({ unsubscribe: { channel: 'rooms/1' } })
  t.same(await ada.call({ presence_stats: { channel: 'rooms/1' } }), {
    presence_stats: { num_clients: 2, num_users: 1 }
  })
})

t.test('only who is subscribed may look, unless a hook says who', async (t) => {
  const rig = await sessionRig(t)
  const told: unknown[] = []
  rig.channel('closed', { history: true, presenceTtl: 30_000 })
  rig.channel('asked/:id', {
    history: true,
    presenceTtl: 30_000,
    onHistory: async ({ user, connection, channel, params, limit, since, reverse }) => {
      told.push([user, connection, channel, params.id, limit, since, reverse])
      if (params.id === 'no') throw forbidden()
    },
    onPresence: async ({ user, connection, channel, params }) => {
      told.push([user, connection, channel, params.id])
      if (params.id === 'no') throw forbidden('nobody’s business')
    }
  })
  const client = await rig.client()
  const commands = (channel: string) => [
    { history: { channel } },
    { presence: { channel } },
    { presence_stats: { channel } }
  ]
  for (const command of commands('closed')) t.same(await client.call(command), { error: ERROR.permissionDenied })
  await subscribed(client, 'closed')
  for (const command of commands('closed')) t.notOk((await client.call(command))?.error)
  for (const command of commands('asked/1')) t.notOk((await client.call(command))?.error)
  const since = { offset: 5, epoch: 'e' }
  t.same(await client.call({ history: { channel: 'asked/no', limit: 2, since, reverse: true } }), {
    error: ERROR.permissionDenied
  })
  t.same(await client.call({ presence: { channel: 'asked/no' } }), {
    error: { code: 103, message: 'nobody’s business' }
  })
  t.same(told, [
    [ADA, 'c1', 'asked/1', '1', 0, undefined, false],
    [ADA, 'c1', 'asked/1', '1'],
    [ADA, 'c1', 'asked/1', '1'],
    [ADA, 'c1', 'asked/no', 'no', 2, since, true],
    [ADA, 'c1', 'asked/no', 'no']
  ])
})

t.test('what a channel doesn’t have', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('plain', { onHistory: () => undefined, onPresence: () => undefined })
  const client = await subscribed(await rig.client(), 'plain')
  for (const name of ['history', 'presence', 'presence_stats']) {
    t.same(await client.call({ [name]: { channel: 'plain' } }), { error: ERROR.notAvailable }, name)
    t.same(await client.call({ [name]: { channel: 'nowhere' } }), { error: ERROR.unknownChannel }, name)
  }
})

t.test('case 140: large answers are charged by their size, and refused to who owes', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('rooms/:room', { history: true, presenceTtl: 30_000 })
  await rig.publish('rooms/1', 'x'.repeat(10_000))
  const client = await subscribed(await rig.client(), 'rooms/1')
  const history = { history: { channel: 'rooms/1', limit: 9 } }
  const presence = { presence: { channel: 'rooms/1' } }
  client.connection.spent.length = 0
  for (const command of [history, presence]) {
    const answer = await client.call(command)
    t.equal(client.connection.spent.pop(), JSON.stringify({ id: 100, ...answer }).length)
  }
  client.connection.intake.indebted = true
  rig.broker.history = rig.broker.presence = async () => t.fail('nothing is asked') as never
  for (const command of [history, presence]) t.same(await client.call(command), { error: ERROR.tooManyRequests })
})

t.test('case 140: of a hundred questions at once no more are asked than are paid for', async (t) => {
  const rig = await sessionRig(t)
  const client = await rig.client()
  let asked = 0
  let atOnce = 0
  let running = 0
  rig.broker.history = async () => {
    asked++
    atOnce = Math.max(atOnce, ++running)
    await new Promise(setImmediate)
    running--
    return { publications: [], position: { offset: 0, epoch: 'e' } }
  }
  rig.channel('rooms/:room', { history: true, onHistory: () => undefined })
  client.connection.intake.spend = () => {
    client.connection.intake.indebted = true
  }
  client.say(...numbers(50).map((n) => ({ id: n, history: { channel: `rooms/${n}`, limit: 1 } })))
  const answers = await client.heard()
  t.equal(answers.length, 50)
  t.equal(answers.filter(({ history }) => history !== undefined).length, asked)
  t.same([asked, atOnce], [1, 1])
})

t.test('case 140: others have their turn between two large answers', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('rooms/:room', { history: true, onHistory: () => undefined })
  for (const room of numbers(5)) await rig.publish(`rooms/${room}`, 'x'.repeat(20_000))
  const client = await rig.client()
  let turns = 0
  const answered: number[] = []
  const reply = client.session.reply.bind(client.session)
  client.session.reply = (command, result) => {
    answered.push(turns)
    return reply(command, result)
  }
  client.say(...numbers(5).map((n) => ({ id: n, history: { channel: `rooms/${n}`, limit: 1 } })))
  for (; answered.length < 5; turns++) await new Promise(setImmediate)
  t.equal(new Set(answered).size, 5, 'each in a turn of its own')
})

t.test('case 140: after a large answer the client rests for longer than that answer took', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('rooms/:room', { history: true, onHistory: () => undefined })
  await rig.publish('rooms/1', 'x'.repeat(20_000))
  const client = await rig.client()
  const { history } = rig.broker
  const times: number[] = []
  rig.broker.history = async (...query) => {
    times.push(performance.now())
    const page = await history.apply(rig.broker, query)
    const busyUntil = performance.now() + 5
    while (performance.now() < busyUntil);
    times.push(performance.now())
    return page
  }
  const command = { history: { channel: 'rooms/1', limit: 1 } }
  client.say({ id: 1, ...command }, { id: 2, ...command })
  while (times.length < 4) await new Promise(setImmediate)
  const [began = 0, ended = 0, next = 0] = times
  // A timer may end a millisecond early.
  t.ok(next - ended > 3.5 * (ended - began) - 2, `${ended - began} ms, then a rest of ${next - ended} ms`)
})

t.test("the application's filter holds for history too, and pages are filled", async (t) => {
  const rig = await sessionRig(t)
  const filter = { key: 'k', cmp: 'eq', val: 'a' } as const
  rig.channel('room', { history: { size: 20_000, ttl: 60_000 }, onSubscribe: () => ({ filter }) })
  const client = await subscribed(await rig.client(), 'room')
  for (const n of numbers(12)) await rig.hub.publish('room', n, { tags: { k: n % 4 === 0 ? 'a' : 'b' } })
  const page = async (query: object) => {
    const { history } = (await client.call({ history: { channel: 'room', ...query } })) as HistoryAnswer
    t.equal(history?.offset, 12)
    return history?.publications.map(({ data }) => data)
  }
  t.same(await page({ limit: 2 }), [4, 8])
  t.same(await page({ limit: 5 }), [4, 8, 12])
  t.same(await page({ limit: 2, reverse: true }), [12, 8])
  t.same(await page({ limit: -1 }), [4, 8, 12])
  t.same(await page({ limit: 0 }), [])
  const { calls } = rig.broker
  for (const _ of numbers(3_000)) await rig.hub.publish('room', 0, { tags: { k: 'b' } })
  calls.length = 0
  const spent: number[] = []
  client.connection.intake.spend = (bytes) => void spent.push(bytes)
  await client.call({ history: { channel: 'room', limit: 100, since: { offset: 12 } } })
  t.equal(calls.length, 10, 'so many pages at most')
  t.equal(spent[0], 1_000, 'what it may not see counts against its rate')
})
