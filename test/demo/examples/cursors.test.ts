import t from 'tap'
import { launchBrowser } from '../../support/browser.ts'
import { next } from '../../support/centrifuge.ts'
import { ExampleServer, refusal, until, Visitor } from '../../support/example.ts'

t.test('two users see the cursors of each other, come and go', async (t) => {
  const server = await ExampleServer.start(t, 'cursors')
  const browser = await launchBrowser()
  t.teardown(() => browser.close())
  const [adas, graces] = [await Visitor.create(t, browser), await Visitor.create(t, browser)]
  const ada = await adas.open(server.url, 'ada')
  const grace = await graces.open(server.url, 'grace')
  await ada.locator('#people', { hasText: /^ada, grace$/ }).waitFor()
  const move = async (page: typeof ada, x: number) => {
    const box = (await page.locator('#board').boundingBox()) as { x: number; y: number; width: number; height: number }
    await page.mouse.move(box.x + box.width * x, box.y + box.height * 0.5, { steps: 30 })
  }
  /** Waits until the cursor of the other is about there. */
  const isAt = (page: typeof ada, x: number) =>
    until(page, `Math.abs(parseFloat(document.querySelector('.cursor')?.style.left) - ${x * 100}) < 1`)

  await move(grace, 0.25)
  await isAt(ada, 0.25)
  t.equal(await ada.locator('.cursor').textContent(), '↖ grace')
  t.equal(await grace.locator('.cursor:visible').count(), 0, 'not the own one')
  await move(ada, 0.75)
  await isAt(grace, 0.75)

  await adas.offline(true)
  await grace.locator('.cursor').waitFor({ state: 'detached' })
  await grace.locator('#people', { hasText: /^grace$/ }).waitFor()
  await move(grace, 0.5)
  await adas.offline(false)
  await grace.locator('#people', { hasText: /^ada, grace$/ }).waitFor()
  await ada.locator('#status', { hasText: 'connected' }).waitFor()
  await move(grace, 0.6)
  await isAt(ada, 0.6)
  await grace.reload()
  await ada.locator('#people', { hasText: /^ada, grace$/ }).waitFor()
  await move(grace, 0.1)
  await isAt(ada, 0.1)
  t.same([...adas.faults, ...graces.faults], [])
})

t.test('many moves become few publications, of which the last has the newest position', async (t) => {
  const server = await ExampleServer.start(t, 'cursors')
  const [ada, grace] = [
    server.centrifuge({ cookie: await server.login('ada') }),
    server.centrifuge({ cookie: await server.login('grace') })
  ]
  ada.connect()
  grace.connect()
  const [{ client: id }] = await Promise.all([next<{ client: string }>(ada, 'connected'), next(grace, 'connected')])
  const cursors = grace.newSubscription('cursors/plan')
  const frames: Record<string, { x: number }>[] = []
  cursors.subscribe()
  await cursors.ready()
  const last = new Promise<void>((resolve) => {
    cursors.on('publication', ({ data }) => {
      frames.push(data)
      if (data[id]?.x === 1) resolve()
    })
  })
  const moves = Array.from({ length: 51 }, (_, n) => ada.rpc('cursors.move', { board: 'plan', x: n / 50, y: 0.5 }))
  await Promise.all(moves)
  await last
  t.ok(frames.length < 51, `${frames.length} publications`)
  t.same(Object.keys(frames.at(-1) as object), [id])
})

t.test('what a client may not do', async (t) => {
  const server = await ExampleServer.start(t, 'cursors')
  const path = '/connection/websocket'
  t.equal(await server.handshake(path), 401)
  const cookie = await server.login('ada')
  t.equal(await server.handshake(path, { cookie, origin: 'https://evil.example' }), 403)
  const client = server.centrifuge({ cookie })
  client.connect()
  await next(client, 'connected')
  const move = (data: unknown) => refusal(client.rpc('cursors.move', data))
  t.equal(await move({ board: 'plan', x: 0, y: 0 }), undefined)
  t.equal(await move({ board: 'secret', x: 0, y: 0 }), 103)
  t.equal(await move({ board: 'plan', x: 2, y: 0 }), 107)
  t.equal(await move({ board: 'plan', x: '0', y: 0 }), 107)
  const cursors = client.newSubscription('cursors/plan')
  cursors.subscribe()
  await cursors.ready()
  t.equal(await refusal(cursors.publish({ grace: { x: 0, y: 0 } })), 103, 'a position of another is no publication')
  const eve = server.centrifuge({ cookie: await server.login('eve') })
  eve.connect()
  const refused = eve.newSubscription('cursors/plan')
  refused.subscribe()
  t.match(await next(refused, 'unsubscribed'), { code: 103 })
  t.equal(await refusal(eve.rpc('cursors.move', { board: 'plan', x: 0, y: 0 })), 103)
  t.equal(await server.end(), 0)
})
