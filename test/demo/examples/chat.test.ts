import t from 'tap'
import { launchBrowser } from '../../support/browser.ts'
import { next, record } from '../../support/centrifuge.ts'
import { ExampleServer, refusal, Visitor } from '../../support/example.ts'
import { TcpProxy } from '../../support/tcp-proxy.ts'

t.test('two users and three tabs: messages, typing, a reload and a lost connection', async (t) => {
  const server = await ExampleServer.start(t, 'chat')
  const browser = await launchBrowser()
  t.teardown(() => browser.close())
  const proxy = await TcpProxy.start(t, server.port)
  const url = `http://127.0.0.1:${proxy.port}`
  const [adas, graces] = [await Visitor.create(t, browser), await Visitor.create(t, browser)]
  const ada = await adas.open(url, 'ada')
  const grace = await graces.open(url, 'grace')
  for (const page of [ada, grace]) await page.locator('#people', { hasText: /^ada, grace$/ }).waitFor()

  await grace.locator('#write input').pressSequentially('hello')
  await ada.locator('#typing', { hasText: 'grace typing' }).waitFor()
  t.equal(await grace.locator('#typing').textContent(), '', 'not one who types')
  await grace.click('#write button')
  await ada.locator('#messages li', { hasText: 'grace: hello' }).waitFor()

  const second = await adas.open(url)
  await second.locator('#messages li', { hasText: 'grace: hello' }).waitFor()
  await ada.reload()
  await ada.locator('#messages li', { hasText: 'grace: hello' }).waitFor()

  // The connection is lost. The other user writes meanwhile, and so does this one.
  await adas.offline(true)
  await grace.fill('#write input', '<b>you missed this</b>')
  await grace.click('#write button')
  await grace.locator('#messages li', { hasText: 'you missed' }).waitFor()
  await ada.fill('#write input', 'sent offline')
  await ada.click('#write button')
  await adas.offline(false)
  await grace.locator('#messages li', { hasText: 'ada: sent offline' }).waitFor()
  const expected = ['grace: hello', 'grace: <b>you missed this</b>', 'ada: sent offline']
  for (const page of [ada, second, grace]) {
    await page.locator('#messages li:nth-child(3)').waitFor()
    t.same((await page.locator('#messages li').allTextContents()).sort(), expected.toSorted())
  }

  // Each connection is cut at once, in both directions.
  proxy.cut()
  await grace.fill('#write input', 'after the cut')
  await grace.click('#write button')
  for (const page of [ada, second, grace]) await page.locator('#messages li', { hasText: 'after the cut' }).waitFor()
  t.equal(await ada.locator('#messages li').count(), 4, 'once')
  await graces.offline(true)
  await ada.locator('#people', { hasText: /^ada$/ }).waitFor()
  t.same([...adas.faults, ...graces.faults], [])
})

t.test('what a client may not do', async (t) => {
  const server = await ExampleServer.start(t, 'chat')
  t.equal(await server.handshake('/connection/websocket'), 401, 'nobody without a session')
  const cookie = await server.login('ada')
  t.equal(await server.handshake('/connection/websocket', { cookie, origin: 'https://evil.example' }), 403)
  t.equal(await server.handshake('/connection/websocket', { cookie, origin: server.url }), 101)
  const stranger = server.centrifuge({ cookie: await server.login('eve') })
  stranger.connect()
  for (const channel of ['rooms/tea', 'rooms/tea/typing', 'rooms/other']) {
    const refused = stranger.newSubscription(channel)
    refused.subscribe()
    t.match(await next(refused, 'unsubscribed'), { code: 103 }, channel)
  }

  const client = server.centrifuge({ cookie })
  client.connect()
  const typing = client.newSubscription('rooms/tea/typing')
  typing.subscribe()
  await typing.ready()
  const grace = server.centrifuge({ cookie: await server.login('grace') })
  grace.connect()
  const graceTyping = grace.newSubscription('rooms/tea/typing')
  const seen = record(graceTyping)
  graceTyping.subscribe()
  await graceTyping.ready()
  t.equal(await refusal(typing.publish({ from: 'grace' })), 107, 'no name but the own one')
  await typing.publish({})
  t.same(await seen.upTo(1), [{ from: 'ada' }])

  const room = client.newSubscription('rooms/tea')
  const messages = record(room)
  room.subscribe()
  await room.ready()
  t.equal(await refusal(room.publish({ text: 'a', key: '1', from: 'grace' })), 107)
  t.equal(await refusal(room.publish({ text: 'a'.repeat(1_001), key: '1' })), 107)
  for (let times = 0; times < 2; times++) await room.publish({ text: 'once', key: '1' })
  await room.publish({ text: 'end', key: '2' })
  t.same(await messages.upTo(2), [
    { from: 'ada', text: 'once', key: '1' },
    { from: 'ada', text: 'end', key: '2' }
  ])
  t.equal(await server.end(), 0)
  t.notMatch(JSON.stringify(server.program.logs), cookie.slice(cookie.indexOf('=') + 1), 'no session in the log')
  t.notOk(server.program.logs.some(({ level }) => level >= 50))
})

t.test('in production it refuses to start with its accounts', async (t) => {
  const env = { NODE_ENV: 'production', SESSION_SECRET: 'x'.repeat(32) }
  t.match(await ExampleServer.fails('chat', env), { code: 1, printed: /Replace the accounts/ })
})
