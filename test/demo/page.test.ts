import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { type Test, test } from 'tap'
import { launchBrowser } from '../support/browser.ts'
import { DemoProcess } from '../support/demo.ts'
import { freePort } from '../support/redis-server.ts'

const secret = 'the secret of the demo with a page'
const DESKTOP = { viewport: { width: 1280, height: 800 } }
const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 3, isMobile: true, hasTouch: true }
// Machines that run other tests meanwhile are slow to paint.
const PATIENCE = 20_000

let browser: Browser
const faults: string[] = []

/** Opens a board in a browser of its own user's, and waits until it is connected. */
async function open(t: Test, url: string, options: BrowserContextOptions = DESKTOP): Promise<Page> {
  const context = await browser.newContext(options)
  t.teardown(() => context.close())
  const page = await context.newPage()
  page.setDefaultTimeout(PATIENCE)
  page.on('pageerror', (error) => faults.push(String(error)))
  // The browser itself logs each refused connection; everything else is ours, violations of the policy too.
  page.on('console', (message) => {
    if (message.type() === 'error' && !/ERR_|WebSocket connection|Failed to load/.test(message.text())) {
      faults.push(message.text())
    }
  })
  await page.goto(url)
  await status(page, 'connected')
  return page
}

function status(page: Page, name: string): Promise<unknown> {
  return page.locator(`#status[data-status="${name}"]`).waitFor({ timeout: PATIENCE })
}

/** Draws a line across the board at this height (0 to 1). */
async function draw(page: Page, at: number): Promise<void> {
  const box = await page.locator('#wet').boundingBox()
  if (box === null) throw new Error('there is no board')
  const y = box.y + box.height * at
  await page.mouse.move(box.x + box.width * 0.1, y)
  await page.mouse.down()
  await page.mouse.move(box.x + box.width * 0.9, y, { steps: 12 })
  await page.mouse.up()
}

// What runs in the page is given as text: the types of a browser's globals are not those of these tests.

/** Waits until the board has ink (or none) in its middle, at this height. */
async function inkAt(page: Page, at: number, expected = true): Promise<void> {
  const found = await page.evaluate<boolean>(`new Promise((resolve) => {
    const end = performance.now() + ${PATIENCE}
    const look = () => {
      const { width, height } = document.getElementById('ink')
      const context = document.getElementById('ink').getContext('2d')
      const [, , , alpha] = context.getImageData(Math.round(width / 2), Math.round(height * ${at}), 1, 1).data
      const holds = alpha > 128 === ${expected}
      if (holds || performance.now() > end) resolve(holds)
      else requestAnimationFrame(look)
    }
    look()
  })`)
  if (!found) throw new Error(`${expected ? 'no ink' : 'ink'} at ${at}`)
}

const strokes = async (page: Page) => Number(await page.locator('#sheet').getAttribute('data-strokes'))
const unsent = (page: Page, count: number) => page.locator('#unsent', { hasText: new RegExp(`^${count}$`) }).waitFor()

test('the whiteboard in a browser', async (whole) => {
  browser = await launchBrowser()
  whole.teardown(() => browser.close())
  const port = await freePort()
  const env = { PORT: String(port), JWT_SECRET: secret, DRAIN_WINDOW: '300', DRAIN_TIMEOUT: '3000' }
  let demo = await DemoProcess.start(whole, env)
  const board = (name: string) => `${demo.address}/#${name}`

  await whole.test('what one draws the other sees, once, and the one at once', async (t) => {
    const [ada, grace, other] = await Promise.all([
      open(t, board('shared')),
      open(t, board('shared'), { ...DESKTOP, colorScheme: 'dark' }),
      open(t, board('other'))
    ])
    await draw(ada, 0.5)
    await inkAt(ada, 0.5)
    await inkAt(grace, 0.5)
    await unsent(ada, 0)
    const count = await strokes(ada)
    t.ok(count > 0)
    t.equal(await strokes(grace), count, 'each piece once')
    await ada.getByLabel('Blue').check()
    await ada.getByLabel('Marker').check()
    await draw(ada, 0.25)
    await inkAt(grace, 0.25)
    await unsent(ada, 0)
    t.equal(await strokes(grace), await strokes(ada))
    t.equal(await strokes(other), 0, 'and no other board any')

    await grace.setViewportSize({ width: 900, height: 700 })
    await inkAt(grace, 0.5)
    await inkAt(grace, 0.25)
    await inkAt(grace, 0.75, false)

    await other.locator('#board').fill('shared')
    await other.locator('#board').press('Enter')
    await status(other, 'connected')
    t.equal(new URL(other.url()).hash, '#shared')
    await other.locator('#events li', { hasText: 'to shared' }).waitFor()
    await draw(other, 0.75)
    await inkAt(grace, 0.75)
  })

  await whole.test('a name is kept, and shown to others where its owner draws', async (t) => {
    const [ada, grace] = await Promise.all([open(t, board('names')), open(t, board('names'))])
    await ada.getByLabel('Name').fill('Ada <b>')
    await ada.getByLabel('Name').press('Enter')
    await ada.locator('#connects', { hasText: '2' }).waitFor()
    await draw(ada, 0.5)
    await grace.locator('#names span', { hasText: 'Ada <b>' }).waitFor({ state: 'attached' })
    await ada.reload()
    t.equal(await ada.getByLabel('Name').inputValue(), 'Ada <b>')
  })

  await whole.test('on a phone: all of it within reach, sharp, and drawn on by touch', async (t) => {
    const [phone, desktop] = await Promise.all([open(t, board('phone'), PHONE), open(t, board('phone'))])
    const [width, overflow, ratio] = await phone.evaluate<number[]>(`{
      const { width, clientWidth } = document.getElementById('ink')
      const page = document.documentElement;
      [clientWidth, page.scrollWidth - page.clientWidth, width / clientWidth]
    }`)
    t.ok(Number(width) > 340, `the board is ${width} pixels wide`)
    t.equal(overflow, 0)
    t.ok(Math.abs(Number(ratio) - 3) < 0.02, `${ratio} pixels each`)
    for (const name of ['Ink', 'Eraser', 'Fine', 'Marker']) {
      const box = await phone.getByLabel(name, { exact: true }).boundingBox()
      t.ok(box && box.width >= 44 && box.height >= 44 && box.y + box.height < 844, `${name} can be tapped`)
    }
    await phone.getByLabel('Marker').tap()
    const sheet = await phone.locator('#wet').boundingBox()
    if (sheet) await phone.touchscreen.tap(sheet.x + sheet.width / 2, sheet.y + sheet.height / 2)
    await inkAt(phone, 0.5)
    await inkAt(desktop, 0.5)
  })

  await whole.test('by keyboard: each control in turn, and the choices by arrows', async (t) => {
    const page = await open(t, board('keys'))
    await page.locator('#board').focus()
    const seen: string[] = []
    for (let i = 0; i < 5; i++) {
      seen.push(await page.evaluate<string>('document.activeElement.id || document.activeElement.name'))
      await page.keyboard.press('Tab')
    }
    for (const name of ['board', 'user', 'colour', 'width']) t.ok(seen.includes(name), name)
    await page.getByLabel('Ink', { exact: true }).focus()
    await page.keyboard.press('ArrowRight')
    t.ok(await page.getByLabel('Red').isChecked())
  })

  await whole.test('through a restart: told, back again, and nothing that was drawn meanwhile is lost', async (t) => {
    const [ada, grace] = await Promise.all([open(t, board('restart')), open(t, board('restart'))])
    t.equal(await ada.locator('#status').getAttribute('aria-live'), 'polite')
    await demo.end('SIGTERM')
    await ada.locator('#events li', { hasText: 'The server restarts' }).waitFor()
    await ada.locator('#events li', { hasText: '(1012: server restart)' }).waitFor()
    await status(ada, 'reconnecting')
    t.match(await ada.locator('#status').textContent(), /^Reconnecting \(attempt \d+\)$/)
    await draw(ada, 0.5)
    await inkAt(ada, 0.5)
    t.ok(Number(await ada.locator('#unsent').textContent()) > 0)
    await status(grace, 'reconnecting')
    // Another secret: the tokens that the pages hold are worth nothing to it.
    demo = await DemoProcess.start(whole, { ...env, JWT_SECRET: `not ${secret}` })
    await status(grace, 'connected')
    await status(ada, 'connected')
    await unsent(ada, 0)
    await draw(ada, 0.25)
    await inkAt(grace, 0.25)
  })

  await whole.test('whose tokens are refused again and again is signed out, and may try once more', async (t) => {
    const page = await open(t, board('refused'))
    await page.route('**/api/token', (route) => route.fulfill({ json: { token: 'eyJh.bm90.aXQ' } }))
    await page.getByLabel('Name').fill('Mallory')
    await page.getByLabel('Name').press('Enter')
    await status(page, 'signed-out')
    t.equal(await page.locator('#status').textContent(), 'Signed out')
    await page.unroute('**/api/token')
    await page.getByRole('button', { name: 'Sign in again' }).click()
    await status(page, 'connected')
  })

  await whole.test('offline: said at once, and over when the network is back', async (t) => {
    const page = await open(t, board('offline'))
    await page.context().setOffline(true)
    await status(page, 'offline')
    await page.context().setOffline(false)
    await status(page, 'connected')
  })

  await whole.test('too much at once: said, and sent again when it may be', async (t) => {
    const page = await open(t, board('flood'))
    // 300 dots, past the burst of 200 messages that a connection may send.
    await page.evaluate(`{
      const pen = document.getElementById('wet')
      const { left, top } = pen.getBoundingClientRect()
      pen.setPointerCapture = () => {}
      for (let i = 0; i < 300; i++) {
        const place = { pointerId: 1, button: 0, clientX: left + 5 + i, clientY: top + 9 }
        for (const type of ['pointerdown', 'pointerup']) pen.dispatchEvent(new PointerEvent(type, place))
      }
    }`)
    await unsent(page, 0)
    t.equal(await strokes(page), 300)
  })

  whole.same(faults, [], 'no error in any page')
})
