import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { buildClient } from '../../scripts/build-client.ts'
import { buildApp } from '../support/app.ts'
import { launchBrowser } from '../support/browser.ts'

t.test('the client runs in a page, as the package has it', async (t) => {
  const file = join(t.testdir({}), 'client.js')
  buildClient(file)
  const source = readFileSync(file, 'utf8')
  const { app } = await buildApp(t, { auth: false, drain: { window: 0 } })
  app.get('/', async (_request, reply) => reply.type('text/html').send('<!doctype html><title>client</title>'))
  app.get('/client.js', async (_request, reply) => reply.type('text/javascript').send(source))
  app.channel('rooms/:room', { history: { size: 10, ttl: 60_000 } })
  app.ws('/live', { queued: true, respond: (data) => ({ got: data }) }, async (socket) => {
    await socket.subscribe('rooms/tea')
    for await (const message of socket.messages()) await socket.publish('rooms/tea', message)
  })
  const address = await app.listen({ port: 0, host: '127.0.0.1' })
  const browser = await launchBrowser()
  t.teardown(() => browser.close())
  const page = await browser.newPage()
  await page.goto(address)
  const got = await page.evaluate(`(async () => {
    const { connect } = await import('/client.js')
    const client = connect('/live')
    const publication = new Promise((resolve) => client.on('publication', resolve))
    await client.send({ text: 'milk?' })
    const reply = await client.request(1)
    const { data, offset } = await publication
    client.close()
    return { data, offset, reply, state: client.state }
  })()`)
  t.same(got, { data: { text: 'milk?' }, offset: 1, reply: { got: 1 }, state: 'closed' })
})
