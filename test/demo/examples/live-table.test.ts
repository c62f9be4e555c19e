import t from 'tap'
import { launchBrowser } from '../../support/browser.ts'
import { next, record } from '../../support/centrifuge.ts'
import { ExampleServer, Visitor } from '../../support/example.ts'

t.test('the page shows the rows of its tenant and region, and their changes', async (t) => {
  const server = await ExampleServer.start(t, 'live-table')
  const browser = await launchBrowser()
  t.teardown(() => browser.close())
  const [adas, graces] = [await Visitor.create(t, browser), await Visitor.create(t, browser)]
  const ada = await adas.open(server.url, 'ada')
  const grace = await graces.open(server.url, 'grace')
  const ids = (page: typeof ada) => page.locator('tbody td:first-child').allTextContents()
  const select = (page: typeof ada, id: number) => page.getByLabel(`State of order ${id}`, { exact: true })
  await select(ada, 12).waitFor()
  await select(grace, 10).waitFor()
  t.same(await ids(ada), ['2', '3', '5', '6', '8', '9', '11', '12'])
  t.same(await ids(grace), ['1', '4', '7', '10'])

  const second = await adas.open(server.url)
  await second.selectOption('#region', 'south')
  await second.locator('tbody tr:nth-child(4)').waitFor()
  await select(second, 3).waitFor({ state: 'detached' })
  t.same(await ids(second), ['2', '6', '8', '12'])

  await adas.offline(true)
  const cookie = await server.login('ada')
  for (const [id, state] of [
    ['2', 'packed'],
    ['3', 'sent']
  ]) {
    t.equal((await server.request('PATCH', `/rows/${id}`, { state }, { cookie })).status, 200)
  }
  await adas.offline(false)
  const shows = (page: typeof ada, id: number, state: string) =>
    select(page, id).locator('option:checked', { hasText: state }).waitFor({ state: 'attached' })
  await shows(ada, 2, 'packed')
  await shows(ada, 3, 'sent')
  await shows(second, 2, 'packed')
  t.same(await ids(second), ['2', '6', '8', '12'])

  await select(ada, 8).selectOption('packed')
  await shows(second, 8, 'packed')
  await second.selectOption('#region', '')
  await shows(second, 3, 'sent')
  t.same([...adas.faults, ...graces.faults], [])
})

t.test("another tenant's rows can be neither seen nor changed", async (t) => {
  const server = await ExampleServer.start(t, 'live-table')
  const path = '/connection/websocket'
  t.equal(await server.handshake(path), 401)
  t.equal((await server.request('GET', '/rows')).status, 401)
  const cookie = await server.login('ada')
  const graces = await server.login('grace')
  t.equal(await server.handshake(path, { cookie, origin: 'https://evil.example' }), 403)
  const change = async (id: string, state: unknown, as = cookie) =>
    (await server.request('PATCH', `/rows/${id}`, { state }, { cookie: as })).status
  t.equal(await change('1', 'packed'), 404, 'a row of the other tenant')
  t.equal(await change('2', 'lost'), 400)
  t.equal(await change('../2', 'packed'), 404)

  const ada = server.centrifuge({ cookie })
  ada.connect()
  // A filter of the client only narrows the server's.
  const tagsFilter = { key: 'tenant', cmp: 'eq', val: 'globex' } as const
  const greedy = ada.newSubscription('orders', { tagsFilter })
  const stolen = record(greedy)
  greedy.subscribe()
  await greedy.ready()
  const curious = server.centrifuge({ cookie })
  curious.connect()
  t.match(
    await curious.history('orders', { limit: 10 }).catch((error) => error),
    { code: 103 },
    'no history without a filter'
  )
  const own = curious.newSubscription('orders')
  const seen = record(own)
  own.subscribe()
  await own.ready()
  t.equal(await change('1', 'packed', graces), 200)
  t.equal(await change('4', 'packed', graces), 200)
  t.equal(await change('2', 'packed'), 200)
  t.match(await seen.upTo(1), [{ id: '2', tenant: 'acme' }])
  t.same(stolen.data, [])
  const { publications } = await own.history({ limit: 10 })
  t.match(
    publications.map(({ data }) => data),
    [{ id: '2', tenant: 'acme' }]
  )
  const none = server.centrifuge({ cookie: await server.login('eve') })
  none.connect()
  const refused = none.newSubscription('orders')
  refused.subscribe()
  t.match(await next(refused, 'unsubscribed'), { code: 103 }, 'a user without a tenant')
  t.equal(await server.end(), 0)
})
