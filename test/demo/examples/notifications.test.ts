import t from 'tap'
import { launchBrowser } from '../../support/browser.ts'
import { next } from '../../support/centrifuge.ts'
import { ExampleServer, Visitor } from '../../support/example.ts'

t.test('each tab of the user is notified, also after a reload and a lost connection', async (t) => {
  const server = await ExampleServer.start(t, 'notifications')
  const browser = await launchBrowser()
  t.teardown(() => browser.close())
  const [adas, graces] = [await Visitor.create(t, browser), await Visitor.create(t, browser)]
  const first = await adas.open(server.url, 'ada')
  const second = await adas.open(server.url)
  const other = await graces.open(server.url, 'grace')
  const items = (page: typeof first) => page.locator('#orders li').allTextContents()

  await first.fill('[name=item]', 'tea')
  await first.click('#order button')
  for (const page of [first, second]) await page.locator('#orders li', { hasText: '1 × tea' }).waitFor()
  await second.reload()
  await second.locator('#orders li', { hasText: '1 × tea' }).waitFor()

  // An order is made elsewhere while no tab is connected.
  const cookie = await server.login('ada')
  await adas.offline(true)
  await server.request('POST', '/orders', { item: 'milk', quantity: 2 }, { cookie })
  await adas.offline(false)
  for (const page of [first, second]) {
    await page.locator('#orders li', { hasText: '2 × milk' }).waitFor()
    t.same(await items(page), ['2 × milk', '1 × tea'], 'each once')
  }
  t.same(await items(other), [], "nothing of another user's")

  await first.click('#logout')
  for (const page of [first, second]) await page.locator('#login').waitFor()
  t.same([...adas.faults, ...graces.faults], [])
})

t.test('what a client may not do', async (t) => {
  const server = await ExampleServer.start(t, 'notifications')
  const path = '/connection/websocket'
  t.equal(await server.handshake(path), 401)
  t.equal((await server.request('GET', '/orders')).status, 401)
  t.equal((await server.request('POST', '/orders', { item: 'tea', quantity: 1 })).status, 401)
  t.equal((await server.request('POST', '/login', { user: 'ada', password: 'wrong' })).status, 401)
  const page = await fetch(server.url)
  t.match(page.headers.get('content-security-policy'), /^default-src 'self'; .*frame-ancestors 'none'$/)
  t.equal(page.headers.get('set-cookie'), null, 'no session before the login')
  const login = await server.request('POST', '/login', { user: 'ada', password: 'demo' })
  t.match(login.headers.get('set-cookie'), /^session=.*; HttpOnly; SameSite=Lax/)
  const cookie = await server.login('ada')
  t.equal(await server.handshake(path, { cookie, origin: 'https://evil.example' }), 403)
  for (const body of [
    { item: '', quantity: 1 },
    { item: 'tea', quantity: 100 },
    { item: 'tea', quantity: 1, user: 'eve' }
  ]) {
    t.equal((await server.request('POST', '/orders', body, { cookie })).status, 400, JSON.stringify(body))
    t.equal((await server.request('POST', '/orders', body)).status, 401, 'who it is comes first')
  }
  const client = server.centrifuge({ cookie })
  client.connect()
  const foreign = client.newSubscription('users/grace/orders')
  foreign.subscribe()
  t.match(await next(foreign, 'unsubscribed'), { code: 103 })

  // A logout ends the connections, and the cookie is of no more use.
  const ended = next(client, 'connecting')
  await server.request('POST', '/logout', undefined, { cookie })
  t.match(await ended, { code: 3000, reason: 'logout' })
  client.disconnect()
  t.equal(await server.handshake(path, { cookie }), 401)
  t.equal(await server.end(), 0)
  const logs = JSON.stringify(server.program.logs)
  t.notMatch(logs, cookie.slice(cookie.indexOf('=') + 1, -8))
})

t.test('no password can be guessed by trying', async (t) => {
  const server = await ExampleServer.start(t, 'notifications')
  const codes: number[] = []
  for (let attempt = 0; attempt < 11; attempt++) {
    codes.push((await server.request('POST', '/login', { user: 'ada', password: String(attempt) })).status)
  }
  t.same([codes[0], codes.at(-1)], [401, 429])
})
