import tap, { test } from 'tap'
import { WebSocket } from 'ws'
import { launchBrowser } from '../../support/browser.ts'
import { DemoProcess } from '../../support/demo.ts'
import { freePort } from '../../support/redis-server.ts'
import { Visitors } from '../../support/whiteboard.ts'

const secret = 'the secret of the demo with a page'
// For machines that do other things meanwhile; it takes a tenth of it.
const PATIENCE = 240_000

tap.setTimeout(PATIENCE)

test('the whiteboard in browsers', { timeout: PATIENCE }, async (whole) => {
  const browser = await launchBrowser()
  whole.teardown(() => browser.close())
  const visitors = new Visitors(browser)
  const port = await freePort()
  const env = { PORT: String(port), JWT_SECRET: secret, DRAIN_WINDOW: '300', DRAIN_TIMEOUT: '3000' }
  let demo = await DemoProcess.start(whole, env)
  const board = (name: string) => `${demo.address}/#${name}`
  /** Publishes a stroke by HTTP. */
  const post = async (name: string, stroke: object, user = 'poster', key?: string) => {
    const authorization = `Bearer ${await demo.token(user, key)}`
    const headers = { authorization, 'content-type': 'application/json' }
    const body = JSON.stringify(stroke)
    return fetch(`${demo.address}/api/boards/${name}/strokes`, { method: 'POST', headers, body })
  }

  await whole.test('what one draws the other sees, once, and the one at once; a newcomer sees all of it', async (t) => {
    const [ada, grace, other] = await Promise.all([
      visitors.open(t, board('shared')),
      visitors.open(t, board('shared'), { colorScheme: 'dark' }),
      visitors.open(t, board('other'))
    ])
    await ada.draw(0.5)
    await ada.ink(0.5)
    await grace.ink(0.5)
    await ada.untilUnsent(0)
    const count = await ada.strokes()
    t.ok(count > 0)
    await grace.untilStrokes(count)
    await ada.page.getByLabel('Blue').check()
    await ada.page.getByLabel('Marker').check()
    await ada.draw(0.25)
    await grace.ink(0.25)
    await ada.untilUnsent(0)
    await grace.untilStrokes(await ada.strokes())
    t.equal(await other.strokes(), 0, 'and no other board any')

    await grace.page.setViewportSize({ width: 900, height: 700 })
    await grace.ink(0.5)
    await grace.ink(0.25)
    await grace.ink(0.75, false)

    await other.page.locator('#board').fill('shared')
    await other.page.locator('#board').press('Enter')
    await other.event('Opened shared')
    t.equal(new URL(other.page.url()).hash, '#shared')
    await other.untilStrokes(await ada.strokes())
    await other.ink(0.5)
    await other.draw(0.75)
    await grace.ink(0.75)
    await grace.page.reload()
    await grace.untilStrokes(await ada.strokes())
  })

  await whole.test('what comes by HTTP and from sockets without a page is there too', async (t) => {
    const ada = await visitors.open(t, board('open'))
    t.equal((await post('open', { colour: 'red', points: [0.1, 0.5, 0.9, 0.5] })).status, 200)
    await ada.ink(0.5)
    const url = `${demo.address.replace('http', 'ws')}/ws/boards/open`
    const socket = new WebSocket(url, ['realtime.v1', `bearer.${await demo.token('raw')}`])
    t.teardown(() => socket.terminate())
    await new Promise((resolve) => socket.once('open', resolve))
    const heard = new Promise((resolve) => socket.once('message', (data) => resolve(JSON.parse(String(data)))))
    socket.send(JSON.stringify({ colour: 'blue', points: [0.1, 0.25, 0.9, 0.25] }))
    await ada.ink(0.25)
    await ada.page.locator('#names [data-user="raw"]', { hasText: 'raw' }).waitFor({ state: 'attached' })
    t.match(await heard, { channel: 'boards/open', data: { colour: 'blue', user: 'raw' } })
    await ada.untilStrokes(2)
  })

  await whole.test('who is here, where they point, and that they have gone', async (t) => {
    const [ada, grace] = await Promise.all([
      visitors.open(t, board('names'), { user: 'Ada <b>' }),
      visitors.open(t, board('names'), { user: 'Grace' })
    ])
    await ada.person('Ada <b>')
    await ada.person('Grace')
    await grace.person('Ada <b>')
    t.match(await ada.page.locator('#people li').first().textContent(), 'Ada <b> (you)')

    const { x, y, width, height } = await ada.box()
    await ada.page.mouse.move(x + width / 2, y + height / 4)
    const cursor = grace.page.locator('#names [data-user="Ada <b>"]')
    await cursor.waitFor({ state: 'attached' })
    t.match(await cursor.getAttribute('style'), /left: (49|50)(\.\d+)?%; top: (24|25)(\.\d+)?%/)
    await ada.page.mouse.move(x - 10, y)
    await cursor.waitFor({ state: 'detached' })

    await ada.page.getByLabel('Name').fill('Countess')
    await ada.page.getByLabel('Name').press('Enter')
    await grace.person('Countess')
    await grace.person('Ada <b>', false)
    await ada.page.reload()
    t.equal(await ada.page.getByLabel('Name').inputValue(), 'Countess')
    await grace.person('Countess')
    await ada.page.close()
    await grace.person('Countess', false)
  })

  await whole.test('undo takes back one’s own lines, the last one first, for everybody and for good', async (t) => {
    const [ada, grace] = await Promise.all([
      visitors.open(t, board('undo'), { user: 'Ada' }),
      visitors.open(t, board('undo'), { user: 'Grace' })
    ])
    const undo = ada.page.getByRole('button', { name: 'Undo' })
    t.ok(await undo.isDisabled())
    await ada.draw(0.25)
    await ada.draw(0.5)
    await grace.draw(0.75)
    await ada.ink(0.75)
    await grace.ink(0.5)
    await undo.click()
    await ada.ink(0.5, false)
    await grace.ink(0.5, false)
    await ada.page.keyboard.press('Control+z')
    await grace.ink(0.25, false)
    t.ok(await undo.isDisabled(), 'what is left is not hers')
    await grace.ink(0.75)
    const newcomer = await visitors.open(t, board('undo'))
    await newcomer.ink(0.75)
    await newcomer.untilStrokes(await grace.strokes())
    await newcomer.ink(0.25, false)

    await ada.page.getByLabel('Name').fill('Text')
    await ada.draw(0.4)
    await ada.page.getByLabel('Name').focus()
    await ada.page.keyboard.press('Control+z')
    await ada.ink(0.4)
  })

  await whole.test('clear asks, and then clears the board for everybody', async (t) => {
    const [ada, grace] = await Promise.all([
      visitors.open(t, board('clear'), { user: 'Ada' }),
      visitors.open(t, board('clear'), { user: 'Grace' })
    ])
    const clear = ada.page.getByRole('button', { name: 'Clear the board' })
    t.ok(await clear.isDisabled())
    await grace.draw(0.5)
    await ada.ink(0.5)
    await grace.untilUnsent(0)
    const count = await grace.strokes()
    await clear.click()
    await ada.page.getByRole('button', { name: 'Cancel' }).click()
    await clear.click()
    await ada.page.keyboard.press('Escape')
    await ada.page.getByRole('dialog').waitFor({ state: 'hidden' })
    t.equal(await ada.strokes(), count, 'not yet')
    await clear.click()
    await ada.page.getByRole('button', { name: 'Clear', exact: true }).click()
    await ada.event(count === 1 ? 'Cleared 1 stroke' : `Cleared ${count} strokes`)
    await ada.untilStrokes(0)
    await grace.untilStrokes(0)
    await grace.event('Ada cleared the board')
    await ada.draw(0.25)
    const newcomer = await visitors.open(t, board('clear'))
    await newcomer.ink(0.25)
    await newcomer.ink(0.5, false)
  })

  await whole.test('what is drawn offline is queued, and there once when the network is back', async (t) => {
    const [ada, grace] = await Promise.all([
      visitors.open(t, board('offline'), { user: 'Ada' }),
      visitors.open(t, board('offline'), { user: 'Grace' })
    ])
    await ada.draw(0.1)
    await ada.untilUnsent(0)
    const before = await ada.strokes()
    await ada.page.context().setOffline(true)
    await ada.status('offline')
    await ada.draw(0.25)
    await ada.draw(0.5)
    await ada.page.getByRole('button', { name: 'Undo' }).click()
    await ada.ink(0.25)
    await ada.ink(0.5, false)
    t.ok((await ada.unsent()) > 0)
    await grace.draw(0.75)
    await grace.untilUnsent(0)
    await grace.ink(0.25, false)
    const own = await ada.strokes()
    const missed = (await grace.strokes()) - before
    t.ok(missed > 0)
    const pill = await ada.watchPill()
    await ada.page.context().setOffline(false)
    await pill.said(new RegExp(`^Recovered, ${missed} missed strokes?$`))
    await ada.status('connected')
    await ada.untilUnsent(0)
    await ada.ink(0.75)
    await grace.ink(0.25)
    await grace.untilStrokes(own + missed)
    await grace.ink(0.5, false)
    const newcomer = await visitors.open(t, board('offline'))
    await newcomer.untilStrokes(own + missed)
  })

  await whole.test('a refused stroke is marked, and may be sent again or removed', async (t) => {
    const ada = await visitors.open(t, board('museum'))
    await post('museum', { colour: 'red', points: [0.1, 0.25, 0.9, 0.25] }, 'curator', await demo.adminKey())
    await ada.ink(0.25)
    await ada.draw(0.5)
    const bar = ada.page.getByRole('alert')
    await bar.getByText('only to be looked at').waitFor()
    await ada.event('Refused: this board is only to be looked at (460)')
    await ada.untilUnsent(0)
    // Back from another board, the bar had lost the reason.
    await ada.page.locator('#board').fill('elsewhere')
    await ada.page.locator('#board').press('Enter')
    await ada.event('Opened elsewhere')
    t.notOk(await bar.isVisible())
    await ada.page.locator('#board').fill('museum')
    await ada.page.locator('#board').press('Enter')
    await bar.getByText(/\d strokes? refused: this board is only to be looked at/).waitFor()
    await ada.ink(0.5)
    const dashed = await ada.page.evaluate<number>(`{
      const canvas = document.getElementById('ink')
      const home = document.getElementById('home').getBoundingClientRect()
      const { width } = canvas
      const y = Math.round((home.top + home.height / 2) * width / canvas.clientWidth)
      const { data } = canvas.getContext('2d').getImageData(0, y, width, 1)
      Array.from({ length: width }, (_, at) => data[at * 4 + 3] > 128).filter((ink, at, row) => ink && !row[at - 1]).length
    }`)
    t.ok(dashed > 10, `${dashed} dashes`)
    await bar.getByRole('button', { name: 'Try again' }).click()
    await ada.page.locator('#events li', { hasText: 'Refused' }).nth(1).waitFor({ state: 'attached' })
    await bar.getByRole('button', { name: 'Remove' }).click()
    await ada.untilStrokes(1)
    t.notOk(await bar.isVisible())
    await ada.draw(0.75)
    await bar.waitFor()
    await ada.page.getByRole('button', { name: 'Undo' }).click()
    await ada.untilStrokes(1)
    t.notOk(await bar.isVisible())
    await ada.page.getByRole('button', { name: 'Clear the board' }).click()
    await ada.page.getByRole('button', { name: 'Clear', exact: true }).click()
    await ada.event('Not cleared: this board is only to be looked at')
  })

  await whole.test('too much at once is sent again when it may be', async (t) => {
    const ada = await visitors.open(t, board('flood'))
    // 300 dots, past the burst of 200 messages that a connection may send.
    await ada.page.evaluate(`{
      const pad = document.getElementById('pad')
      const { left, top } = pad.getBoundingClientRect()
      pad.setPointerCapture = () => {}
      for (let i = 0; i < 300; i++) {
        const place = { pointerId: 1, button: 0, clientX: left + 5 + i, clientY: top + 209 }
        for (const type of ['pointerdown', 'pointerup']) pad.dispatchEvent(new PointerEvent(type, place))
      }
    }`)
    await ada.untilUnsent(0)
    t.equal(await ada.strokes(), 300)
    const newcomer = await visitors.open(t, board('flood'))
    await newcomer.untilStrokes(300)
  })

  await whole.test('the panel says what can not be broken of a process alone, and why', async (t) => {
    const guest = await visitors.open(t, board('panel'))
    const key = await demo.adminKey()
    const ada = await visitors.open(t, `${board('panel')}&key=${key}`)
    t.equal(await ada.page.evaluate('location.hash'), '#panel', 'the key is not in a link that is copied')
    await ada.page.locator('.more summary').click()
    await guest.page.getByText('The address that npm start printed in its terminal carries a key').waitFor()
    t.ok(await guest.page.locator('#break-all').isDisabled(), 'without the key it may not be pressed')
    t.match(await guest.page.locator('.steps').textContent(), /Restart.*Kill.*Cut/s, 'but it says what it would do')
    t.notOk(await guest.page.locator('.more').isVisible())
    await ada.page.locator('.needs', { hasText: 'npm start -- --workers 3' }).waitFor()
    t.equal(await ada.page.locator('#break-all').textContent(), 'Cut both connections')
    t.equal(await ada.page.getByRole('link', { name: 'dashboard' }).getAttribute('href'), `/dashboard#key=${key}`)
    for (const action of ['restart', 'kill', 'redis']) {
      const button = ada.page.locator(`[data-action="${action}"]`)
      t.ok(await button.isDisabled(), action)
      const reason = ada.page.locator('li', { has: button }).locator('.reason')
      t.match(await reason.textContent(), 'npm start -- --workers 3')
    }
    for (const action of ['cut', 'flood', 'garbage']) {
      t.ok(await ada.page.locator(`[data-action="${action}"]`).isEnabled(), action)
    }
    // A restart that was given up was told as one that went well.
    const refusals = { restart: null, kill: null, redis: null, cut: null }
    const state = { workers: 2, running: null, failure: 'a new worker did not come to listen', progress: [], refusals }
    await ada.page.route('**/api/break', (route) => route.fulfill({ json: state }))
    await ada.page.reload()
    await ada.page.locator('.more summary').click()
    const restart = ada.page.locator('[data-action="restart"]')
    await restart.click()
    const output = ada.page.locator('li', { has: restart }).locator('output')
    await output.getByText('It did not end well: a new worker did not come to listen').waitFor()
    t.equal(await output.getAttribute('data-tone'), 'bad')
    await ada.page.unroute('**/api/break')
    await ada.page.route('**/api/break', (route) => route.fulfill({ status: 404, json: {} }))
    await ada.page.reload()
    await ada.event('Opened')
    t.ok(await ada.page.locator('#break-all').isDisabled(), 'if the server offers nothing, nothing can be pressed')
  })

  await whole.test('whose tokens are refused again and again is signed out, and may try once more', async (t) => {
    const ada = await visitors.open(t, board('refused'))
    await ada.page.route('**/api/token', (route) => route.fulfill({ json: { token: 'eyJh.bm90.aXQ' } }))
    await ada.page.getByLabel('Name').fill('Mallory')
    await ada.page.getByLabel('Name').press('Enter')
    await ada.status('signed-out')
    t.equal(await ada.pill, 'Signed out')
    await ada.page.unroute('**/api/token')
    await ada.page.getByRole('button', { name: 'Sign in again' }).click()
    await ada.status('connected')
    await ada.person('Mallory')
  })

  await whole.test('through a restart: told, back again, and nothing that was drawn meanwhile is lost', async (t) => {
    const [ada, grace] = await Promise.all([visitors.open(t, board('restart')), visitors.open(t, board('restart'))])
    t.equal(await ada.page.locator('#status').getAttribute('aria-live'), 'polite')
    const [pill, other] = [await ada.watchPill(), await grace.watchPill()]
    await demo.end('SIGTERM')
    await pill.said(/^Server restarting$/)
    await ada.event('The server restarts')
    await ada.status('reconnecting')
    t.match(await ada.pill, /^Reconnecting \(attempt \d+\)$/)
    await ada.draw(0.5)
    await ada.ink(0.5)
    t.ok((await ada.unsent()) > 0)
    await grace.status('reconnecting')
    // Another secret: the tokens that the pages hold are worth nothing to it. And it remembers no board.
    demo = await DemoProcess.start(whole, { ...env, JWT_SECRET: `not ${secret}` })
    await other.said(/^Board reloaded$/)
    await ada.untilUnsent(0)
    await grace.ink(0.5)
    await grace.draw(0.25)
    await ada.ink(0.25)
  })

  whole.same(visitors.faults, [], 'no error in any page')
  whole.same(demo.noise, [])
})
